/** Where things of jobs and models stand in a store. */

import { invalidArgument, isInteger, violation } from '../foundation/index.js';
import { isSegment } from '../store/index.js';

const MAX_ID_LENGTH = 63;
const STEP_DIGITS = 12;
const ATTEMPT_DIGITS = 6;

export const jobKeys = {
  attempts: (job: string): string => `jobs/${id('job', job)}/attempts/`,
  attempt: (job: string, attempt: number): string => `${jobKeys.attempts(job)}${attemptText(attempt)}.json`,
  checkpoints: (job: string): string => `jobs/${id('job', job)}/checkpoints/`,
  /** The folder of one checkpoint by one attempt, with the "/" at its end. */
  checkpoint: (job: string, step: number, attempt: number): string =>
    `${jobKeys.checkpoints(job)}${digits('step', step, STEP_DIGITS)}/${attemptText(attempt)}/`,
  commits: (job: string): string => `jobs/${id('job', job)}/commits/`,
  commit: (job: string, step: number): string =>
    `${jobKeys.commits(job)}${digits('step', step, STEP_DIGITS)}.json`,
};

export const modelKeys = {
  all: 'models/',
  job: (model: string): string => `models/${id('model', model)}/job.json`,
  latest: (model: string): string => `models/${id('model', model)}/latest.json`,
};

/** The number in a key such as `.../000000000100.json`, or undefined where the key is no such key. */
export function numberOfKey(key: string, prefix: string): number | undefined {
  const match = /^(\d+)\.json$/.exec(key.slice(prefix.length));
  return match === null ? undefined : Number(match[1]);
}

/** Step and attempt of an object's key under `checkpoints(job)`, or undefined. */
export function checkpointOfKey(key: string, prefix: string): { step: number; attempt: number } | undefined {
  const match = /^(\d{12})\/(\d{6})\/[^/]+$/.exec(key.slice(prefix.length));
  return match === null ? undefined : { step: Number(match[1]), attempt: Number(match[2]) };
}

function id(field: string, value: string): string {
  if (isSegment(value) && value.length <= MAX_ID_LENGTH) return value;
  throw invalidArgument([
    violation(field, `1 to ${MAX_ID_LENGTH} of a-z, 0-9, ".", "_", "-", the first a letter or digit`, value),
  ]);
}

function attemptText(attempt: number): string {
  return digits('attempt', attempt, ATTEMPT_DIGITS);
}

function digits(field: string, value: number, width: number): string {
  if (isInteger(value, 0, 10 ** width - 1)) return String(value).padStart(width, '0');
  throw invalidArgument([violation(field, `a non-negative integer of at most ${width} digits`, value)]);
}
