/** Where everything of jobs and models stands in a store; the room's README shows the layout. */

import { invalidArgument, isInteger, violation } from '../foundation/index.js';
import { isSegment } from '../store/index.js';

const MAX_ID_LENGTH = 63;
const STEP_DIGITS = 12;
const ATTEMPT_DIGITS = 6;
const TERM_DIGITS = 6;
const EVENT_DIGITS = 12;
const TIME_DIGITS = 13;
const LATEST_MS = 10 ** TIME_DIGITS - 1;

export const jobKeys = {
  /** The folder of all jobs. */
  every: 'jobs/',
  all: (job: string): string => `${jobKeys.every}${id('job', job)}/`,
  /** What the job is. */
  record: (job: string): string => `${jobKeys.all(job)}job.json`,
  /** Where it stands. */
  status: (job: string): string => `${jobKeys.all(job)}status.json`,
  events: (job: string): string => `${jobKeys.all(job)}events/`,
  /** Events from the numbered one on, of the trainer that had the job in this term; keys sort as the events happened. */
  eventSegment: (job: string, term: number, number: number): string =>
    `${jobKeys.events(job)}${digits('term', term, TERM_DIGITS)}-${digits('number', number, EVENT_DIGITS)}.jsonl`,
  attempts: (job: string): string => `${jobKeys.all(job)}attempts/`,
  attempt: (job: string, attempt: number): string => `${jobKeys.attempts(job)}${attemptText(attempt)}.json`,
  checkpoints: (job: string): string => `${jobKeys.all(job)}checkpoints/`,
  /** The folder of one checkpoint by one attempt, with the "/" at its end. */
  checkpoint: (job: string, step: number, attempt: number): string =>
    `${jobKeys.checkpoints(job)}${digits('step', step, STEP_DIGITS)}/${attemptText(attempt)}/`,
  commits: (job: string): string => `${jobKeys.all(job)}commits/`,
  commit: (job: string, step: number): string =>
    `${jobKeys.commits(job)}${digits('step', step, STEP_DIGITS)}.json`,
};

export const modelKeys = {
  all: 'models/',
  job: (model: string): string => `models/${id('model', model)}/job.json`,
  latest: (model: string): string => `models/${id('model', model)}/latest.json`,
};

/** One key for each job that hasn't ended. */
export const activeKeys = {
  all: 'active/',
  of: (job: string): string => `${activeKeys.all}${id('job', job)}.json`,
};

/** A job in the list of all. */
export interface ListedJob {
  readonly job: string;
  readonly model: string;
  /** When it was created; milliseconds since the epoch. */
  readonly createdMs: number;
}

/** One key for each job, the newest first in the order of keys: so that a page of the list is a part of a listing. */
export const listedKeys = {
  all: 'listed/',
  /** There once every job has its key. */
  complete: 'listed-complete.json',
  of: ({ job, model, createdMs }: ListedJob): string =>
    `${listedKeys.before(createdMs)}${id('model', model)}/${id('job', job)}.json`,
  /** All keys of jobs that were created at this time. */
  before: (createdMs: number): string =>
    `${listedKeys.all}${digits('time', LATEST_MS - Math.min(Math.max(createdMs, 0), LATEST_MS), TIME_DIGITS)}/`,
};

/** What a key of `listedKeys.of` says, or undefined. */
export function listedJobOfKey(key: string): ListedJob | undefined {
  const [, time, model, job] = /^listed\/(\d{13})\/([^/]+)\/([^/]+)\.json$/.exec(key) ?? [];
  if (time === undefined || model === undefined || job === undefined) return undefined;
  return { job, model, createdMs: LATEST_MS - Number(time) };
}

/** A measurement's id begins with its time, so that keys sort the newest first. */
export const measurementKeys = {
  all: 'measurements/',
  of: (measurement: string): string => `${measurementKeys.all}${id('measurement', measurement)}.json`,
  result: (measurement: string): string => `measurement-results/${id('measurement', measurement)}.pb`,
  /** One key for each measurement that hasn't ended. */
  active: 'measurements-active/',
  activeOf: (measurement: string): string => `${measurementKeys.active}${id('measurement', measurement)}`,
  /** What a request with this hash of its request_id made. */
  request: (sha256: string): string => `measurement-requests/${sha256}.json`,
  /** Which measurement has the result of these inputs. */
  inputs: (sha256: string): string => `measurement-inputs/${sha256}.json`,
  /** Statistics of a reference by a hash of its images and the extractor. */
  statistics: (sha256: string): string => `measurement-statistics/${sha256}.npz`,
  /** An id that sorts before those of earlier times. @param suffix Of its own. */
  newId: (createdMs: number, suffix: string): string =>
    `${digits('time', LATEST_MS - Math.min(Math.max(createdMs, 0), LATEST_MS), TIME_DIGITS)}-${suffix}`,
};

/** The id in a key of `measurementKeys.of` or `activeOf`, or undefined. */
export function measurementOfKey(key: string): string | undefined {
  return /^measurements(?:-active)?\/([^/]+?)(?:\.json)?$/.exec(key)?.[1];
}

/** What all services over a store share. */
export const deploymentKeys = {
  /** The key that resume tokens are signed with. */
  resumeTokens: 'deployment/resume-tokens.json',
};

/** What a request with this hash of its request_id made. */
export const requestKeys = {
  all: 'requests/',
  of: (requestSha256: string): string => `${requestKeys.all}${requestSha256}.json`,
};

/** The job's id in a key of `activeKeys`, or undefined. */
export function activeJobOfKey(key: string): string | undefined {
  return /^active\/(.+)\.json$/.exec(key)?.[1];
}

/** Term and number of the first event of a segment, from its key; undefined for another key. */
export function eventOfKey(key: string): { readonly term: number; readonly number: number } | undefined {
  const [, term, number] = /\/(\d{6})-(\d{12})\.jsonl$/.exec(key) ?? [];
  return term === undefined ? undefined : { term: Number(term), number: Number(number) };
}

/** The model's name in a key of `modelKeys.job`, or undefined. */
export function modelOfKey(key: string): string | undefined {
  return /^models\/([^/]+)\/job\.json$/.exec(key)?.[1];
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
