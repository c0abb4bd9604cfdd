/** One soak run: straight runs first, then work under faults, then a last look at everything. */

import { DiffusionError, pause } from '../../shared/foundation/index.js';
import { isRunningHere, processAt, type ProcessIdentity } from '../../shared/processes/index.js';
import { deriveKey, randomStream } from '../../shared/random/index.js';
import { FAULTS, type Fault } from './faults.js';
import { ofKind } from './history.js';
import { sampleImages, sampleOnce, type SampledModel } from './images.js';
import { CHECKPOINT_EVERY, deleteModel, readCheckpoints, RECIPES, runJob, type Workload } from './jobs.js';
import { childrenOf, commandOf, enginesOf, sampleOf } from '../proc.js';
import type { Recorder } from './recorder.js';
import { scheduleFaults, type Schedule } from './scheduler.js';
import type { Sample } from './slopes.js';
import { CONCURRENT_JOBS, openWorld, type World } from './world.js';

export interface RunOptions {
  readonly seed: bigint;
  /** How long there are faults; without an end where there is a number of kills alone. */
  readonly minutes: number | undefined;
  /** Only kills, and no longer than until there were so many. */
  readonly kills: number | undefined;
  /** A folder for the services' logs. */
  readonly logs: string;
  readonly recorder: Recorder;
  readonly say: (line: string) => void;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

export interface RunResult {
  readonly samples: readonly Sample[];
  /** Whether there were small disks to fill. */
  readonly disks: boolean;
}

const faultsOf = (of: Fault['of']): Fault[] => FAULTS.filter((fault) => fault.of === of);
/** Each as often as the others. */
const KILLS = FAULTS.filter(({ kills }) => kills === true).map((fault) => ({ ...fault, weight: 1 }));

const SAMPLE_EVERY_MS = 2000;
const SAY_EVERY_MS = 30_000;
const CALLERS = 2;
/** Models of ended jobs that stay; the older ones are deleted. */
const KEPT_MODELS = 6;
/** Jobs that don't end within this time after the last fault are given up. */
const END_WITHIN_MS = 10 * 60_000;

export async function run(options: RunOptions): Promise<RunResult> {
  const { seed, minutes, kills, logs, recorder, say, signal } = options;
  say('starting an S3 server, a proxy before it, and both services');
  const world = await openWorld(logs, recorder);
  if (world.disks === undefined)
    say('no small disk can be mounted (that needs root): full disks are left out');
  const late = new AbortController();
  const givenUp = AbortSignal.any([late.signal, signal]);
  const load: Workload = { world, recorder, seed, signal: givenUp };
  const over = new AbortController();
  const samples: Sample[] = [];
  const children = new Map<string, ProcessIdentity>();
  const looking = lookAtProcesses(world, recorder, { samples, children }, over.signal);
  const models: SampledModel[] = [];
  try {
    const straight = await trainStraight(load, models, say);
    say(kills === undefined ? `faults for ${minutes ?? 0} minutes` : `until ${kills} kills`);
    const telling = tell(recorder, say, over.signal);
    const calm = new AbortController();
    const schedules: Schedule[] =
      kills === undefined
        ? [
            { name: 'processes', seed, faults: faultsOf('processes'), pauseMs: [2000, 9000] },
            { name: 'the store', seed, faults: faultsOf('store'), pauseMs: [4000, 20_000] },
          ]
        : [{ name: 'kills', seed, faults: KILLS, pauseMs: [200, 3000] }];
    const faults = schedules.map((schedule) => scheduleFaults(schedule, { world, recorder }, calm.signal));
    const sampling = Array.from({ length: CALLERS }, (_, caller) =>
      sampleImages(load, caller, () => models, calm.signal),
    );
    const working = work(load, { models, straight }, calm.signal);
    const endMs = recorder.elapsedMs() + 60_000 * (minutes ?? Infinity);
    while (killed(recorder) < (kills ?? Infinity) && recorder.elapsedMs() < endMs && !givenUp.aborted)
      await pause(500);
    calm.abort();
    await Promise.all(faults);
    say('no more faults; waiting for the jobs to end');
    const timer = setTimeout(() => {
      late.abort(new DiffusionError('CANCELLED', 'the jobs did not end in time'));
    }, END_WITHIN_MS);
    const kept = await working;
    await Promise.all(sampling);
    clearTimeout(timer);
    say('reading every checkpoint that is left once more');
    for (const job of [...straight, ...kept]) await readCheckpoints(load, job);
    over.abort();
    await telling;
  } finally {
    over.abort();
    await looking;
    await world.close();
  }
  await findOrphans(recorder, children);
  return { samples, disks: world.disks !== undefined };
}

/** A job of each recipe before there are faults, and images of its checkpoints. @returns the jobs. */
async function trainStraight(
  load: Workload,
  models: SampledModel[],
  say: (line: string) => void,
): Promise<string[]> {
  const jobs: string[] = [];
  for (const recipe of Object.keys(RECIPES)) {
    say(`a straight run of the recipe "${recipe}"`);
    const { job, model } = await runJob(load, { number: jobs.length, recipe, straight: true });
    jobs.push(job);
    models.push({ model, recipe });
    // Few, or the sampler does nothing but load weights.
    if (models.length === 1) models.push({ model, recipe, checkpointStep: CHECKPOINT_EVERY });
  }
  const client = load.world.samplerClient();
  for (const [i, model] of models.entries())
    await sampleOnce(load, client, model, randomStream(deriveKey(load.seed, 'soak/first images'), [i]));
  client.close();
  return jobs;
}

/** Trains jobs, some at a time, until the signal aborts and all have ended. @returns those that are not deleted. */
async function work(
  load: Workload,
  { models, straight }: { readonly models: SampledModel[]; readonly straight: readonly string[] },
  until: AbortSignal,
): Promise<string[]> {
  const ended: { job: string; model: string }[] = [];
  let number = straight.length;
  const worker = async (): Promise<void> => {
    while (!until.aborted) {
      const draw = randomStream(deriveKey(load.seed, 'soak/jobs'), [number]);
      const names = Object.keys(RECIPES);
      const recipe = names[draw.integer(names.length)] ?? '';
      const cancelAfter = draw.integer(6) === 0 ? 1 + draw.integer(120) : undefined;
      const plan = { number: number++, recipe, straight: false, cancelAfter };
      const done = await runJob(load, plan).catch(ignoreFailed);
      if (done === undefined) continue;
      const { job, model } = done;
      if (cancelAfter === undefined) models.push({ model, recipe });
      ended.push({ job, model });
      if (ended.length <= KEPT_MODELS) continue;
      const [oldest] = ended.splice(0, 1);
      if (oldest === undefined) continue;
      const at = models.findIndex((each) => each.model === oldest.model);
      if (at >= 0) models.splice(at, 1);
      await deleteModel(load, oldest.model).catch(ignoreFailed);
    }
  };
  // One more than run at once, so that one waits in the queue.
  await Promise.all(Array.from({ length: CONCURRENT_JOBS + 1 }, worker));
  return ended.map(({ job }) => job);
}

/** A call that failed for good: the history says how. */
function ignoreFailed(error: unknown): undefined {
  if (!(error instanceof DiffusionError)) throw error;
}

async function lookAtProcesses(
  { trainer, sampler }: World,
  recorder: Recorder,
  { samples, children }: { readonly samples: Sample[]; readonly children: Map<string, ProcessIdentity> },
  until: AbortSignal,
): Promise<void> {
  const look = async (process: string, pid: number): Promise<void> => {
    const seen = await sampleOf(pid);
    if (seen !== undefined) samples.push({ process, pid, atMs: recorder.elapsedMs(), ...seen });
  };
  while (!until.aborted) {
    for (const service of [trainer, sampler]) {
      const pid = service.pid();
      if (pid === undefined) continue;
      await look(service.name, pid);
      for (const child of await childrenOf(pid)) {
        const found = processAt(child.pid);
        if (found !== undefined) children.set(`${found.pid} ${found.startedAt}`, found);
      }
      // An engine of the trainer lives for one job; that of a sampler for as long as its model is asked for.
      if (service === sampler)
        for (const engine of await enginesOf(pid)) await look("sampler's engine", engine.pid);
    }
    await pause(SAMPLE_EVERY_MS, until);
  }
}

const ORPHAN_MS = 3000;

/** Processes of ended services that run still. */
async function findOrphans(
  recorder: Recorder,
  children: ReadonlyMap<string, ProcessIdentity>,
): Promise<void> {
  await pause(ORPHAN_MS);
  for (const child of children.values()) {
    // Its number may be another process's by now.
    if (isRunningHere(child))
      recorder.add({ kind: 'orphan', command: `${child.pid}: ${await commandOf(child.pid)}` });
  }
}

function killed({ history }: Recorder): number {
  return ofKind(history, 'fault').filter(({ fault }) => fault.endsWith('killed')).length;
}

async function tell(recorder: Recorder, say: (line: string) => void, until: AbortSignal): Promise<void> {
  while (!until.aborted) {
    await pause(SAY_EVERY_MS, until);
    const { history } = recorder;
    const minutes = (recorder.elapsedMs() / 60_000).toFixed(1);
    const ended = new Set(ofKind(history, 'listed').map(({ job }) => job)).size;
    say(
      `${minutes} min: ${ended} jobs ended, ${ofKind(history, 'image').length} images, ` +
        `${ofKind(history, 'fault').length} faults, ${killed(recorder)} of them kills`,
    );
  }
}
