/** Commit markers: the one object whose presence makes a checkpoint exist. */

import { z } from 'zod';
import { countSchema, DiffusionError, positiveCountSchema, describeValue } from '../foundation/index.js';
import { findJson, jsonBytes } from './json-object.js';
import type { StoredJson } from './json-object.js';
import { jobKeys } from './keys.js';
import type { CallOptions, ObjectStore } from '../store/index.js';
import { putIf } from '../store/index.js';

/** A recipe may list its betas. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

const markerSchema = z.object({
  job: z.string(),
  model: z.string(),
  step: countSchema,
  attempt: positiveCountSchema,
  /** Of the manifest, which is read whole. */
  size: countSchema.max(MAX_MANIFEST_BYTES),
  sha256: z.string(),
});

export type Marker = Readonly<z.infer<typeof markerSchema>>;

export const MANIFEST = 'manifest.json';

/**
 * The marker of a step, or undefined where the step is not committed.
 *
 * @throws DATA_LOSS where the marker is damaged or stands under another step's key.
 */
export async function findMarker(
  store: ObjectStore,
  job: string,
  step: number,
  options: CallOptions = {},
): Promise<StoredJson<Marker> | undefined> {
  const key = jobKeys.commit(job, step);
  const marker = await findJson(store, key, markerSchema, options);
  if (marker === undefined || (marker.value.job === job && marker.value.step === step)) return marker;
  const got = `${marker.value.job}, ${marker.value.step}`;
  throw new DiffusionError(
    'OBJECT_INVALID',
    `${describeValue(key)}: wanted the marker of job ${job}, step ${step}; got ${got}`,
  );
}

/**
 * Puts a marker where none stands, or where a damaged one or an earlier attempt's stands: a run that fell back behind
 * a damaged checkpoint commits that step anew.
 *
 * @throws ABORTED: reason ATTEMPT_FENCED where a later attempt's marker stands, COMMIT_CONFLICT where this attempt
 * has committed something else.
 */
export async function publishMarker(
  store: ObjectStore,
  marker: Marker,
  options: CallOptions = {},
): Promise<void> {
  const key = jobKeys.commit(marker.job, marker.step);
  const bytes = jsonBytes({
    job: marker.job,
    model: marker.model,
    step: marker.step,
    attempt: marker.attempt,
    size: marker.size,
    sha256: marker.sha256,
  });
  for (;;) {
    if (await putIf(store, key, bytes, { ...options, ifNoneMatch: true })) return;
    const standing = await findReplaceable(store, marker, options);
    if (standing === undefined) continue;
    if (Buffer.compare(standing.bytes, bytes) === 0) return;
    if (await putIf(store, key, bytes, { ...options, ifMatch: standing.etag })) return;
  }
}

/** What stands in the way, where this attempt may replace it or has written it itself. */
async function findReplaceable(
  store: ObjectStore,
  marker: Marker,
  options: CallOptions,
): Promise<{ readonly bytes: Uint8Array; readonly etag: string } | undefined> {
  try {
    const standing = await findMarker(store, marker.job, marker.step, options);
    if (standing === undefined || standing.value.attempt < marker.attempt) return standing;
    if (standing.value.attempt > marker.attempt) throw fenced(marker, standing.value.attempt);
    if (standing.value.sha256 === marker.sha256) return standing;
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.code !== 'DATA_LOSS') throw error;
    return store.get(jobKeys.commit(marker.job, marker.step), options);
  }
  const text = `job ${marker.job}, step ${marker.step}: attempt ${marker.attempt} has already committed another checkpoint`;
  throw new DiffusionError('COMMIT_CONFLICT', text);
}

/** The refusal of an attempt that a later one has replaced; a process that meets it must stop. */
export function fenced(
  { job, step, attempt }: Pick<Marker, 'job' | 'step' | 'attempt'>,
  later?: number,
): DiffusionError {
  const by = later === undefined ? 'a later attempt' : `attempt ${later}`;
  return new DiffusionError(
    'ATTEMPT_FENCED',
    `job ${job}, step ${step}: attempt ${attempt} was replaced by ${by}`,
  );
}
