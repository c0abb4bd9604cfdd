/** What must hold of jobs, checkpoints, images, calls and processes, whatever faults there were. */

import { grouped, ofKind, type History, type OfKind, type Rule } from './history.js';

/** What a client may be answered while services are killed and their store fails: each says that it may try again. */
export const EXPECTED_CODES: ReadonlySet<string> = new Set([
  'OK',
  'CANCELLED',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'UNAVAILABLE',
]);

/** What a call gets for a model that is being deleted. */
const GONE: ReadonlySet<string> = new Set(['MODEL_NOT_READY', 'MODEL_NOT_FOUND', 'CHECKPOINT_NOT_FOUND']);

export const TRAINER_STOPPED = 'trainer stopped with SIGTERM';

export const OUTCOME_RULES: Readonly<Record<string, Rule>> = {
  *'one request, one job'(history) {
    for (const [id, jobs] of grouped(ofKind(history, 'job'), ({ requestId }) => requestId)) {
      const different = new Set(jobs.map(({ job }) => job));
      if (different.size > 1) yield `request ${id} made ${[...different].join(', ')}`;
    }
  },
  *'every job ends, and in one way'(history) {
    const cancelled = new Set(ofKind(history, 'cancelled').map(({ job }) => job));
    const ends = grouped(endsOf(history), ({ job }) => job);
    for (const job of jobsOf(history).keys()) {
      const states = new Set((ends.get(job) ?? []).map(({ state, step }) => `${state} at step ${step}`));
      if (states.size === 0) yield `${job} did not end`;
      if (states.size > 1) yield `${job} ended in several ways: ${[...states].join(', ')}`;
      for (const state of states)
        if (!(state.startsWith('SUCCEEDED') || (cancelled.has(job) && state.startsWith('CANCELLED'))))
          yield `${job} ended as ${state}`;
    }
  },
  *'a step has one loss'(history) {
    const recipeOfWatch = new Map(
      ofKind(history, 'watch').map(({ watch, job }) => [watch, jobsOf(history).get(job)?.recipe ?? job]),
    );
    const losses = new Map<string, number>();
    for (const { watch, event } of ofKind(history, 'message')) {
      if (event.kind !== 'metrics') continue;
      const key = `step ${event.step} of ${recipeOfWatch.get(watch) ?? `watch ${watch}`}`;
      const first = losses.get(key) ?? event.loss;
      if (first !== event.loss) yield `${key}: ${first} and ${event.loss}`;
      losses.set(key, first);
    }
  },
  *'nothing that was committed is lost'(history) {
    const committed = committedOf(history);
    for (const { job, steps, since } of ofKind(history, 'listed')) {
      const lost = (committed.get(job) ?? []).filter(
        ({ step, entry }) => entry < since && !steps.includes(step),
      );
      if (lost.length > 0) yield `${job}: ${[...new Set(lost.map(({ step }) => step))].join(', ')}`;
    }
  },
  *'every committed checkpoint can be read'(history) {
    for (const { job, step, problem } of ofKind(history, 'unreadable'))
      yield `${job}, step ${step}: ${problem}`;
    const read = new Set(
      history.flatMap((entry) =>
        entry.kind === 'checkpoint' || entry.kind === 'unreadable' ? [`${entry.job} ${entry.step}`] : [],
      ),
    );
    for (const { job, steps } of ofKind(history, 'listed'))
      for (const step of steps) if (!read.has(`${job} ${step}`)) yield `${job}, step ${step}: nobody read it`;
    const listed = new Set(ofKind(history, 'listed').map(({ job }) => job));
    for (const job of jobsOf(history).keys()) if (!listed.has(job)) yield `${job}: nobody looked`;
  },
  *'the survived run is, byte for byte, the straight one'(history) {
    const straight = new Map<string, Map<number, string>>();
    const jobs = jobsOf(history);
    for (const { job, step, sha256 } of ofKind(history, 'checkpoint')) {
      const { recipe, straight: isStraight } = jobs.get(job) ?? { recipe: job, straight: false };
      const steps = straight.get(recipe) ?? new Map<number, string>();
      straight.set(recipe, steps);
      // Those that only a survived run has, such as the last one of a job that was cancelled, are compared with each other.
      const first = steps.get(step);
      if (first === undefined) steps.set(step, sha256);
      else if (first !== sha256)
        yield `${job}${isStraight ? ', the straight one' : ''}, step ${step}: other bytes than those of ${recipe} before`;
    }
    const ends = new Map(endsOf(history).map(({ job, state }) => [job, state]));
    const expected = new Map<string, readonly number[]>();
    // A trainer that is asked to stop commits a checkpoint of each job that runs.
    const stops = ofKind(history, 'fault').filter(({ fault }) => fault === TRAINER_STOPPED).length;
    for (const { job, steps } of ofKind(history, 'listed')) {
      const { recipe, straight: isStraight } = jobs.get(job) ?? { recipe: job, straight: false };
      if (isStraight) expected.set(recipe, steps);
      const wanted = expected.get(recipe);
      if (ends.get(job) !== 'SUCCEEDED' || wanted === undefined) continue;
      const isMissing = wanted.some((step) => !steps.includes(step));
      const additional = steps.filter((step) => !wanted.includes(step)).length;
      if (isMissing || additional > stops)
        yield `${job} has the checkpoints ${steps.join(', ')}; the straight run has ${wanted.join(', ')}`;
    }
  },
  *'an image has the same bytes whenever it is sampled'(history) {
    for (const [of, images] of grouped(ofKind(history, 'image'), (image) => image.of)) {
      const different = new Set(images.map(({ sha256 }) => sha256));
      if (different.size > 1) yield `${of}: ${different.size} different images of ${images.length}`;
    }
  },
  *'a call that fails says that it may be tried again'(history) {
    const deleted = new Set<string>();
    for (const entry of history) {
      if (entry.kind === 'deleting') deleted.add(entry.model);
      if (entry.kind !== 'call' || EXPECTED_CODES.has(entry.code)) continue;
      const { method, model = '', code, reason = 'no reason', detail = '' } = entry;
      if (!(deleted.has(model) && GONE.has(reason))) yield `${method}: ${code} (${reason}): ${detail}`;
    }
  },
  *'a service ends only when it is asked to'(history) {
    for (const { service, how, wanted } of ofKind(history, 'exit'))
      if (how !== wanted) yield `the ${service} ended with ${how}; wanted ${wanted ?? 'it to run on'}`;
  },
  *'a new certificate is shown'(history) {
    for (const { service, seen } of ofKind(history, 'rotation'))
      if (!seen) yield `the ${service} went on to show the old one`;
  },
  *'no process outlives its service'(history) {
    for (const { command } of ofKind(history, 'orphan')) yield command;
  },
};

function jobsOf(history: History): Map<string, OfKind<'job'>> {
  return new Map(ofKind(history, 'job').map((entry) => [entry.job, entry]));
}

function endsOf(history: History): { job: string; state: string; step: number }[] {
  const jobs = new Map(ofKind(history, 'watch').map(({ watch, job }) => [watch, job]));
  return ofKind(history, 'message').flatMap(({ watch, event }) =>
    event.kind === 'terminal' ? [{ job: jobs.get(watch) ?? '', state: event.state, step: event.step }] : [],
  );
}

/** The steps that somebody was told are committed, and by which entry. */
function committedOf(history: History): Map<string, { readonly step: number; readonly entry: number }[]> {
  const jobs = new Map(ofKind(history, 'watch').map(({ watch, job }) => [watch, job]));
  const told = history.flatMap((entry, number) => {
    if (entry.kind === 'listed') return entry.steps.map((step) => ({ job: entry.job, step, entry: number }));
    if (entry.kind !== 'message') return [];
    const { event, watch } = entry;
    const job = jobs.get(watch) ?? '';
    if (event.kind === 'checkpoint') return [{ job, step: event.step, entry: number }];
    const step = event.kind === 'snapshot' || event.kind === 'terminal' ? event.checkpointStep : 0;
    return step > 0 ? [{ job, step, entry: number }] : [];
  });
  return grouped(told, ({ job }) => job);
}
