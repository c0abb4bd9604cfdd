/** Training jobs of a soak run, each with three watchers, and a look at its checkpoints when it has ended. */

import { createHash } from 'node:crypto';

import { errorsWire, recipeToWire, trainerWire } from '../../shared/contract/index.js';
import { DiffusionError, pause } from '../../shared/foundation/index.js';
import { deriveKey, randomStream, type RandomStream } from '../../shared/random/index.js';
import type { PartialRecipe } from '../../shared/recipe/index.js';
import { listCommits } from '../../shared/models/index.js';
import { callStream, callUnary } from '../../shared/rpc/index.js';
import { manifestOf, tinyRecipe, type Client, type Event } from '../integration/trainer-fixture.js';
import type { SeenEvent } from './history.js';
import { EXPECTED_CODES } from './history-outcomes.js';
import type { Recorder } from './recorder.js';
import type { World } from './world.js';

export const CHECKPOINT_EVERY = 20;
const STEPS = 240;
const CALL_MS = 15_000;
const AGAIN_MS = 1000;
/** Failures that no fault explains, one after another, after which a call is given up. */
const MOST_WRONG = 20;
const SLOW_READER_MS = 40;
/** The least that HTTP/2 has: a reader that stops reading is noticed after some hundred messages. */
const SMALL_WINDOW = { 'grpc-node.flow_control_window': 65_535 };

/** What jobs are made of, by name. */
export const RECIPES: Readonly<Record<string, PartialRecipe>> = {
  perturbed: {},
  plain: { inputPerturbation: { gamma: 0 }, objective: { timestepSampler: 'uniform' } },
  seeded: { training: { seed: '11' } },
};

export interface Workload {
  readonly world: World;
  readonly recorder: Recorder;
  readonly seed: bigint;
  /** Aborted when the run is given up. */
  readonly signal: AbortSignal;
}

export interface PlannedJob {
  readonly number: number;
  readonly recipe: string;
  readonly straight: boolean;
  /** Asked to end after this step, if it gets there. */
  readonly cancelAfter?: number | undefined;
}

/** Creates a job, watches it to its end, and reads all its checkpoints. @returns its model. */
export async function runJob(load: Workload, plan: PlannedJob): Promise<{ job: string; model: string }> {
  const { world, recorder, seed } = load;
  const clients = [world.trainerClient(), world.trainerClient(SMALL_WINDOW), world.trainerClient()] as const;
  const [client, slow, restless] = clients;
  const model = `soak-${plan.number}`;
  const requestId = `soak-${seed}-${plan.number}`;
  const recipe = recipeOf(world, plan.recipe, model);
  const request = { recipe: recipeToWire(recipe), requestId, validateOnly: false };
  const { job: created } = await persistently(load, 'CreateTrainingJob', () =>
    callUnary(client, client.createTrainingJob, request, { timeoutMs: CALL_MS }),
  );
  const job = created?.jobId ?? '';
  recorder.add({ kind: 'job', job, recipe: plan.recipe, requestId, straight: plan.straight });
  const draw = randomStream(deriveKey(seed, 'soak/watchers'), [plan.number]);
  const cancelling = plan.cancelAfter;
  await Promise.all([
    follow(load, client, job, {
      onEvent: (event) => {
        if (event.kind === 'metrics' && event.step === cancelling) void cancel(load, client, job);
      },
    }),
    follow(load, slow, job, { delayMs: SLOW_READER_MS }),
    follow(load, restless, job, { draw }),
  ]);
  for (const each of clients) each.close();
  await readCheckpoints(load, job);
  return { job, model };
}

/** Removes a model whose checkpoints have been read. */
export async function deleteModel(load: Workload, model: string): Promise<void> {
  const client = load.world.trainerClient();
  load.recorder.add({ kind: 'deleting', model });
  await persistently(load, 'DeleteModel', () =>
    callUnary(client, client.deleteModel, { model }, { timeoutMs: CALL_MS }),
  ).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
  client.close();
}

function recipeOf(world: World, name: string, model: string): PartialRecipe {
  const recipe = RECIPES[name] ?? {};
  return tinyRecipe(world.folders.images, {
    ...recipe,
    name: model,
    training: { steps: STEPS, checkpointEverySteps: CHECKPOINT_EVERY, keepLast: 1000, ...recipe.training },
  });
}

async function cancel(load: Workload, client: Client, job: string): Promise<void> {
  load.recorder.add({ kind: 'cancelled', job });
  await persistently(load, 'CancelTrainingJob', () =>
    callUnary(client, client.cancelTrainingJob, { jobId: job }, { timeoutMs: CALL_MS }),
  ).catch(() => undefined);
}

/** Makes a call again until it succeeds. @throws its last error, where it never does. */
async function persistently<T>(
  { recorder, signal }: Workload,
  method: string,
  work: () => Promise<T>,
): Promise<T> {
  for (let wrong = 0; ;) {
    try {
      return await recorder.call(method, work);
    } catch (error) {
      if (!(error instanceof DiffusionError) || isMissing(error)) throw error;
      wrong = EXPECTED_CODES.has(error.code) ? 0 : wrong + 1;
      if (wrong >= MOST_WRONG || signal.aborted) throw error;
      await pause(AGAIN_MS, signal);
    }
  }
}

/** A repeated deletion whose first answer was lost finds nothing. */
function isMissing(error: unknown): boolean {
  return error instanceof DiffusionError && error.code === 'NOT_FOUND';
}

interface Reader {
  readonly onEvent?: (event: SeenEvent) => void;
  /** Waits so long after each message. */
  readonly delayMs?: number;
  /** Decides when it hangs up and watches again, where it was or from the beginning. */
  readonly draw?: RandomStream;
}

let watches = 0;

/** Watches a job until its terminal event, again and again where it was. */
async function follow(load: Workload, client: Client, job: string, reader: Reader): Promise<void> {
  const { recorder, signal } = load;
  const { draw } = reader;
  let after = '';
  for (let wrong = 0; wrong < MOST_WRONG && !signal.aborted;) {
    const watch = watches++;
    recorder.add({ kind: 'watch', watch, job, after });
    const patience = draw === undefined ? Infinity : 5 + draw.integer(60);
    const outcome = await readOnce(load, client, { watch, job, after, patience }, reader);
    recorder.add({ kind: 'watch ended', watch, code: outcome.code });
    if (outcome.code === 'OK') return;
    after = draw !== undefined && draw.integer(4) === 0 ? '' : outcome.position;
    wrong = EXPECTED_CODES.has(outcome.code) ? 0 : wrong + 1;
    if (outcome.code !== 'CANCELLED') await pause(AGAIN_MS, signal);
  }
}

interface WatchCall {
  readonly watch: number;
  readonly job: string;
  readonly after: string;
  /** It hangs up after so many messages. */
  readonly patience: number;
}

async function readOnce(
  { recorder, signal }: Workload,
  client: Client,
  { watch, job, after, patience }: WatchCall,
  { onEvent, delayMs }: Reader,
): Promise<{ readonly code: string; readonly position: string }> {
  let position = after;
  let messages = 0;
  try {
    await recorder.call('WatchTrainingJob', async () => {
      for await (const message of callStream(
        client,
        client.watchTrainingJob,
        { jobId: job, after },
        { signal },
      )) {
        if (message.event === undefined) continue;
        const event = seen(message.event);
        ({ position } = message);
        recorder.add({ kind: 'message', watch, position, event });
        onEvent?.(event);
        if (delayMs !== undefined) await pause(delayMs);
        messages += 1;
        if (messages >= patience && event.kind !== 'terminal') break;
      }
    });
    return { code: messages >= patience ? 'CANCELLED' : 'OK', position };
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    return { code: error.code, position };
  }
}

function seen(event: Event): SeenEvent {
  switch (event.$case) {
    case 'snapshot': {
      const { job, historyTruncated: truncated } = event.value;
      return { kind: 'snapshot', checkpointStep: job?.checkpointStep ?? 0, truncated };
    }
    case 'stepMetrics': {
      const { step, loss, dropped } = event.value;
      return { kind: 'metrics', step, loss, dropped: Number(dropped) };
    }
    case 'checkpointCommitted':
      return { kind: 'checkpoint', step: event.value.step };
    case 'stateChanged':
      return { kind: 'state', state: stateOf(event.value.state), message: event.value.message };
    case 'terminal': {
      const { state, failureReason, step, checkpointStep } = event.value;
      const reason = failureReason === 0 ? '' : ` (${errorsWire.errorReasonToJSON(failureReason)})`;
      return { kind: 'terminal', state: stateOf(state) + reason, step, checkpointStep };
    }
    default:
      return { kind: 'other', name: event.$case };
  }
}

function stateOf(state: trainerWire.JobState): string {
  return trainerWire.jobStateToJSON(state).replace('JOB_STATE_', '');
}

/** Reads every checkpoint of a job from the store itself, each object against its hash. */
export async function readCheckpoints({ world, recorder }: Workload, job: string): Promise<void> {
  const since = recorder.history.length;
  const steps = await listCommits(world.store, job);
  recorder.add({ kind: 'listed', job, steps: [...steps].sort((a, b) => a - b), since });
  for (const step of steps) {
    try {
      const { objects } = await manifestOf(world.store, job, step);
      const digests = objects.map(({ name, sha256 }) => `${name} ${sha256}`).sort();
      const sha256 = createHash('sha256').update(digests.join('\n')).digest('hex');
      recorder.add({ kind: 'checkpoint', job, step, sha256 });
    } catch (error) {
      recorder.add({ kind: 'unreadable', job, step, problem: String(error) });
    }
  }
}
