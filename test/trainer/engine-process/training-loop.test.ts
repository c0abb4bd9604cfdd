/** The loop around a real run, in this process. */

import { join } from 'node:path';

import test from 'ava';

import { DiffusionError, systemClock } from '../../../shared/foundation/index.js';
import { encodeManifest } from '../../../shared/checkpoint/index.js';
import { recipeFormat, resolveRecipe, type PartialRecipe } from '../../../shared/recipe/index.js';
import {
  checkpointOf,
  claimAttempt,
  commitCheckpoint,
  jobKeys,
  listCommits,
  readCommit,
} from '../../../shared/models/index.js';
import { openLocalStore } from '../../../shared/store/index.js';
import type { EngineEvent } from '../../../services/trainer/job.js';
import { inexactness, openRun, type Run } from '../../../services/trainer/engine-process/open-run.js';
import type { StartTraining } from '../../../services/trainer/engine-process/messages.js';
import { train } from '../../../services/trainer/engine-process/training-loop.js';
import { makeFolders, tinyRecipe } from '../../integration/trainer-fixture.js';

const folders = await makeFolders(40);
const folder = join(folders.root, 'store');
const store = await openLocalStore({ folder });
test.after.always(() => folders.remove());

async function startOf(
  name: string,
  images = folders.images,
  evaluation: PartialRecipe['evaluation'] = { images: 4, everySteps: 3 },
  training: PartialRecipe['training'] = { steps: 100, checkpointEverySteps: 50, sampleEverySteps: 4 },
): Promise<StartTraining> {
  const asked = tinyRecipe(images, { name, evaluation, training });
  return {
    kind: 'start',
    jobId: name,
    model: name,
    recipe: resolveRecipe(asked, name),
    attempt: await claimAttempt(store, name),
    committedStep: 0,
    store: { kind: 'local', folder },
    fileAccess: { local: { roots: undefined } },
    cacheFolder: folders.cache,
    storeRetryLimitMs: 1000,
  };
}

/** A run that calls `onPass` with each pass that predicts without training. */
async function openWatched(start: StartTraining, onPass: (name: string) => void): Promise<Run> {
  const run = await openRun(start, store, new AbortController().signal);
  const { loaded } = run;
  return {
    ...run,
    loaded: {
      assign: (values) => loaded.assign(values),
      read: (names) => loaded.read(names),
      dispose: () => loaded.dispose(),
      run: (name, inputs) => {
        if (name.startsWith('predict')) onPass(name);
        return loaded.run(name, inputs);
      },
    },
  };
}

for (const [what, pass, step] of [
  ['an evaluation', 1, 3],
  // After the evaluation's two.
  ['a sample grid', 4, 4],
] as const) {
  test.serial(
    `asked to stop during ${what}, a run skips the rest of it and commits what was trained [fault A13]`,
    async (t) => {
      const start = await startOf(`stopped-at-${step}`);
      const stop = new AbortController();
      const warnings: string[] = [];
      const events: EngineEvent[] = [];
      let passes = 0;
      const run = await openWatched(start, () => {
        passes += 1;
        if (passes === pass) stop.abort();
      });
      const how = await train({
        start,
        run,
        store,
        clock: systemClock,
        stop: stop.signal,
        onEvent: (event) => events.push(event),
        onStore: () => undefined,
        onWarning: (warning) => warnings.push(warning),
      });
      t.deepEqual(how, { how: 'stopped', waiting: 0 });
      t.true(passes <= pass + 1, `${passes} passes`);
      t.deepEqual(await listCommits(store, start.jobId), [step]);
      t.deepEqual(warnings, []);
      t.deepEqual(events.at(-1)?.kind, 'checkpoint');
      await run.loaded.dispose();
      await run.dataset.close();
    },
  );
}

test.serial(
  'a run with images enough held out streams its exposure bias, and writes it into the manifest',
  async (t) => {
    const many = await makeFolders(160);
    t.teardown(() => many.remove());
    const start = await startOf(
      'exposed',
      many.images,
      { images: 16, everySteps: 2 },
      { steps: 5, checkpointEverySteps: 3 },
    );
    const run = await openRun(start, store, new AbortController().signal);
    const events: EngineEvent[] = [];
    const warnings: string[] = [];
    const how = await train({
      ...{ start, run, store, clock: systemClock, stop: new AbortController().signal },
      onEvent: (event) => events.push(event),
      onStore: () => undefined,
      onWarning: (warning) => warnings.push(warning),
    });
    t.deepEqual(how, { how: 'finished', waiting: 0 });
    t.deepEqual(warnings, []);
    const exposures = events.flatMap((event) =>
      event.kind === 'evaluation' ? [event.evaluation.exposure] : [],
    );
    t.deepEqual(
      exposures.map((exposure) => exposure?.step),
      [2, undefined, 5],
    );
    for (const exposure of [exposures[0], exposures[2]])
      t.true(Object.values(exposure ?? { none: NaN }).every((value) => Number.isFinite(value) && value > 0));
    const manifests = await Promise.all(
      [3, 5].map(async (step) => checkpointOf(await readCommit(store, start.jobId, step)).manifest.exposure),
    );
    t.deepEqual(manifests, [exposures[0], exposures[2]]);
    await run.loaded.dispose();
    await run.dataset.close();
  },
);

test.serial('a job without a readable checkpoint does not start again at step 0', async (t) => {
  const start = await startOf('unreadable');
  await commitCheckpoint(store, {
    job: start.jobId,
    model: start.model,
    step: 10,
    attempt: start.attempt,
    objects: [{ name: 'weights.safetensors', bytes: Buffer.from('weights') }],
    manifest: () => Buffer.from('{"formatVersion":1}'),
  });
  const reasonOf = async (message: RegExp): Promise<string> => {
    const opening = openRun(start, store, new AbortController().signal);
    return (await t.throwsAsync(opening, { instanceOf: DiffusionError, message })).reason;
  };
  t.is(await reasonOf(/checkpoint of step 10 is whole, but this build can't read it/), 'MANIFEST_VERSION');
  await store.put(`${jobKeys.checkpoint(start.jobId, 10, start.attempt)}manifest.json`, Buffer.from('{'));
  const none = /none of the job's 1 checkpoints can be read; the newest, of step 10/;
  t.is(await reasonOf(none), 'CHECKPOINT_UNREADABLE');
});

let trained: Promise<StartTraining> | undefined;

/** A job of six steps that was trained to its end, with a checkpoint at every second step. */
const job = (): Promise<StartTraining> => (trained ??= trainNew('resumes'));

async function trainNew(name: string): Promise<StartTraining> {
  const start = await startOf(name);
  const { training } = start.recipe;
  const short: StartTraining = {
    ...start,
    recipe: { ...start.recipe, training: { ...training, steps: 6, checkpointEverySteps: 2, keepLast: 9 } },
  };
  const run = await openRun(short, store, new AbortController().signal);
  await train({
    ...{ start: short, run, store, clock: systemClock, stop: new AbortController().signal },
    ...{ onEvent: () => undefined, onStore: () => undefined, onWarning: () => undefined },
  });
  await run.loaded.dispose();
  await run.dataset.close();
  return short;
}

test.serial(
  'a run resumes before a checkpoint that is damaged or not finite, and says so, and whether it is exact [fault 73, 82, 85]',
  async (t) => {
    const start = await job();
    const { jobId, model } = start;
    const keyOf = (step: number): string =>
      `${jobKeys.checkpoint(jobId, step, start.attempt)}weights.safetensors`;
    const good = await store.get(keyOf(4));
    await store.put(
      keyOf(4),
      good.bytes.map((byte, i) => (i === good.bytes.length - 1 ? byte ^ 1 : byte)),
    );
    // Whole by its hash, but with a NaN in it.
    const attempt = await claimAttempt(store, jobId);
    const { manifest } = checkpointOf(await readCommit(store, jobId, 6));
    const objects = await Promise.all(
      manifest.objects.map(async ({ name }) => ({
        name,
        bytes: (await store.get(jobKeys.checkpoint(jobId, 6, start.attempt) + name)).bytes,
      })),
    );
    for (const { name, bytes } of objects)
      if (name === 'weights.safetensors') bytes.set([0, 0, 192, 127], bytes.length - 4);
    await commitCheckpoint(store, {
      ...{ job: jobId, model, step: 6, attempt, objects },
      manifest: (committed) =>
        encodeManifest({ ...manifest, attempt, objects: [...committed] }, recipeFormat),
    });
    const again = { ...start, attempt: await claimAttempt(store, jobId) };
    const run = await openRun(again, store, new AbortController().signal);
    t.is(run.resumed?.step, 2);
    t.is(run.committedStep, 2);
    t.deepEqual(
      run.damaged.map(({ step, error }) => [step, error.reason]),
      [
        [6, 'NOT_FINITE'],
        [4, 'OBJECT_DAMAGED'],
      ],
    );
    const { resumed, build } = run;
    if (resumed === undefined) throw new Error('nothing was resumed');
    t.is(inexactness(resumed, build), undefined);
    t.is(
      inexactness(resumed, { ...build, threads: build.threads + 1 }),
      `not exact: threads was ${build.threads}, now ${build.threads + 1}`,
    );
    t.regex(inexactness(resumed, { ...build, platform: 'another' }) ?? '', /^not exact: platform was /);
    const unknown = { ...resumed, manifest: { ...resumed.manifest, engine: undefined } };
    t.regex(inexactness(unknown, build) ?? '', /^not exact: .* is not known$/);
    await run.loaded.dispose();
    await run.dataset.close();
  },
);

test.serial(
  'a checkpoint that this build does not understand is not damaged: nothing is committed over it [fault A10]',
  async (t) => {
    const start = await job();
    const { jobId, model } = start;
    const attempt = await claimAttempt(store, jobId);
    const { manifest } = checkpointOf(await readCommit(store, jobId, 2));
    // Whole by their hashes, and in no format that is known here.
    const objects = manifest.objects.map(({ name }) => ({
      name,
      bytes: Buffer.from('a format of the future'),
    }));
    await commitCheckpoint(store, {
      ...{ job: jobId, model, step: 8, attempt, objects },
      manifest: (committed) =>
        encodeManifest({ ...manifest, step: 8, attempt, objects: [...committed] }, recipeFormat),
    });
    const opening = openRun(start, store, new AbortController().signal);
    const error = await t.throwsAsync(opening, { instanceOf: DiffusionError });
    t.deepEqual([error.code, error.reason], ['FAILED_PRECONDITION', 'MANIFEST_VERSION']);
  },
);
