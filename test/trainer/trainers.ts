/** Trainers over one store, in this process: their clocks, engines and queues are the test's. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import pino from 'pino';

import type { StartEngine } from '../../services/trainer/engine.js';
import { START } from '../../services/trainer/event-log.js';
import type { Job } from '../../services/trainer/job.js';
import { LeaseWatch } from '../../services/trainer/job-lease.js';
import { jobRecovery } from '../../services/trainer/job-recovery.js';
import { settleWarmStart } from '../../services/trainer/warm-start.js';
import { jobRequests } from '../../services/trainer/job-requests.js';
import { JobSupervisor } from '../../services/trainer/job-supervisor.js';
import { listedCompleteness } from '../../services/trainer/listed-jobs.js';
import { trainerMetrics } from '../../services/trainer/metrics.js';
import type { KeptStates } from '../../services/trainer/kept-state.js';
import { deletions } from '../../services/trainer/deletion.js';
import { deferred, systemClock, type Clock, type DiffusionError } from '../../shared/foundation/index.js';
import type { PartialRecipe } from '../../shared/recipe/index.js';
import { metricRegistry } from '../../shared/metrics/index.js';
import { openLocalStore, type ObjectStore } from '../../shared/store/index.js';
import { commit, engines, localSources, ready, stopped } from './fake-engine.js';

export const never = new AbortController().signal;
export const LEASE_MS = 60_000;
export const root = await mkdtemp(join(tmpdir(), 'recovery-test-'));
const supervisors: JobSupervisor[] = [];

/** Stops all trainers and removes their stores. */
export async function removeAll(): Promise<void> {
  await Promise.all(supervisors.map((supervisor) => supervisor.stop()));
  await rm(root, { recursive: true, force: true });
}

export const openStore = async (): Promise<ObjectStore> =>
  openLocalStore({ folder: await mkdtemp(join(root, 'store-')) });

/** The clock of one trainer, which a test advances. */
function trainerClock(): Clock & { pass(ms: number): void } {
  let passedMs = 0;
  return {
    wallMs: systemClock.wallMs,
    monotonicMs: () => passedMs,
    pass: (ms) => {
      passedMs += ms;
    },
  };
}

/** Settings of a supervisor whose store and engines are the test's. */
export const SUPERVISOR = {
  storeSettings: { kind: 'local', folder: 'unused' },
  fileAccess: {},
  cacheFolder: 'unused',
  logger: pino({ level: 'silent' }),
  restartLimit: 3,
  restartDelayMs: 1,
  stopGraceMs: 60_000,
  storeRetryLimitMs: 0,
  concurrentJobs: 1,
  maxQueue: 4,
} as const;

/** A trainer over a store; all have the same name. */
export function trainer(store: ObjectStore, startEngine: StartEngine, maxQueue = 4, kept?: KeptStates) {
  const clock = trainerClock();
  const registry = metricRegistry();
  const metrics = trainerMetrics(registry, clock);
  const self = { holder: `trainer ${supervisors.length}`, name: 'trainer', process: undefined };
  const supervisor = new JobSupervisor({
    ...SUPERVISOR,
    ...{ store, startEngine, clock, kept, maxQueue, trainer: self, leaseMs: LEASE_MS },
    observer: metrics,
  });
  metrics.watch(supervisor);
  supervisors.push(supervisor);
  const leases = new LeaseWatch(clock, self);
  const requests = jobRequests({
    store,
    supervisor,
    leases,
    sources: localSources,
    clock,
    memoryBytes: 1e12,
    listed: listedCompleteness(store),
    settle: (asked, sees) => settleWarmStart(store, asked, sees),
  });
  const deletion = deletions({ store, supervisor });
  const recovery = jobRecovery({
    store,
    supervisor,
    leases,
    kept,
    sources: localSources,
    leaseMs: LEASE_MS,
    logger: SUPERVISOR.logger,
  });
  /** A scan, time for others to renew their leases, and another scan. */
  const scanPastLease = async (): Promise<void> => {
    await recovery.scan();
    clock.pass(LEASE_MS + 1);
    await recovery.scan();
  };
  return { clock, registry, supervisor, requests, deletion, recovery, scanPastLease };
}

export type Trainer = ReturnType<typeof trainer>;

/** An engine that is ready and then runs until it is asked to stop. */
export function working() {
  const begun = deferred();
  const killed = deferred();
  const made = engines((engine) => {
    engine.send(ready);
    engine.send(commit(2));
    begun.resolve();
    return {
      onStop: () => {
        engine.send(commit(5));
        engine.send(stopped);
      },
    };
  });
  const startEngine: StartEngine = (start, onMessage) => {
    const engine = made.startEngine(start, onMessage);
    void engine.exited.then(() => {
      killed.resolve();
    });
    return engine;
  };
  return { startEngine, begun: begun.promise, ended: killed.promise };
}

export const recipe = (name: string): PartialRecipe => ({ name });

/** Reads a job's end from where it is followed. */
export async function end({ supervisor }: Trainer, { record }: Job): Promise<string> {
  const active = supervisor.find(record.jobId);
  if (active === undefined) return 'unknown';
  await drained(active.log.follow(START, never));
  return active.status.state;
}

export async function drained(events: AsyncIterator<unknown>): Promise<void> {
  while ((await events.next()).done !== true);
}

/** Waits for something that comes by itself. */
export async function until(met: () => Promise<boolean>): Promise<void> {
  while (!(await met())) await new Promise((resume) => setTimeout(resume, 5));
}

export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'OK';
  } catch (error) {
    return (error as DiffusionError).reason;
  }
}

export const NO_CHANGES = { recipe: {}, paths: undefined };
