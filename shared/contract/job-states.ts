/** The states of a training job. */

/** As the contracts name them, without their prefix. */
export const JOB_STATES = [
  'PENDING',
  'RUNNING',
  'RETRYING',
  'CANCELLING',
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
] as const;

export type JobState = (typeof JOB_STATES)[number];

const ENDED: ReadonlySet<string> = new Set<JobState>(['SUCCEEDED', 'FAILED', 'CANCELLED']);

export function isJobState(text: string): text is JobState {
  return (JOB_STATES as readonly string[]).includes(text);
}

/** Whether a job in this state has ended, until it is resumed. */
export function isEnded(state: JobState | undefined): boolean {
  return state !== undefined && ENDED.has(state);
}
