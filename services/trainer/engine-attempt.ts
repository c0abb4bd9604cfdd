/** One attempt at a job: an engine process from its start to its end, and what it reports. */

import type { Logger } from 'pino';

import type { Clock, WireReason } from '../../shared/foundation/index.js';
import type { ChildExit } from '../../shared/processes/index.js';
import type { FileAccess, StoreSettings } from '../../shared/store/index.js';
import { NO_TRACER, type Tracer } from '../../shared/tracing/index.js';
import type { ActiveJob } from './active-job.js';
import { attemptTrace } from './attempt-trace.js';
import type { FromEngine, SpillFolder } from './engine-process/messages.js';
import type { EngineProcess, StartEngine } from './engine.js';
import type { StoreReport } from './job.js';
import type { RunObserver } from './metrics.js';
import { storeMessage } from './store-report.js';

export interface AttemptSettings {
  /** How an engine process opens the store. */
  readonly storeSettings: StoreSettings;
  /** How it reaches the files of data sets. */
  readonly fileAccess: FileAccess;
  readonly cacheFolder: string;
  readonly startEngine: StartEngine;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long the store may be unavailable before the job fails. */
  readonly storeRetryLimitMs: number;
  /** Where checkpoints wait that the store does not take. */
  readonly spill?: SpillFolder;
  readonly tracer?: Tracer;
}

export type AttemptOutcome =
  | Extract<FromEngine, { kind: 'ended' | 'failed' | 'fenced' }>
  | { readonly kind: 'crashed'; readonly exit: ChildExit; readonly ready: boolean };

export interface EngineAttempt {
  readonly engine: EngineProcess;
  /** Resolves once the engine process has ended. */
  readonly outcome: Promise<AttemptOutcome>;
}

export interface AttemptOptions {
  readonly settings: AttemptSettings;
  readonly observer: RunObserver | undefined;
  readonly onStore: (report: StoreReport) => void;
}

/** Starts the engine process of an attempt. What it reports changes the job. */
export function beginAttempt(
  job: ActiveJob,
  attempt: number,
  { settings, observer, onStore }: AttemptOptions,
): EngineAttempt {
  const { storeSettings, fileAccess, cacheFolder, storeRetryLimitMs, spill } = settings;
  const { startEngine, clock, tracer = NO_TRACER } = settings;
  const { jobId, model, recipe } = job.record;
  const { committedStep } = job.status;
  const traced = attemptTrace(tracer, { jobId, model, attempt, committedStep }, clock);
  const logger = settings.logger.child({ ...traced.ids });
  let last: AttemptOutcome | undefined;
  let ready = false;
  const start = {
    ...{ kind: 'start' as const, jobId, model, recipe, attempt, committedStep, store: storeSettings },
    ...{ fileAccess, cacheFolder, storeRetryLimitMs, ...(spill && { spill }) },
  };
  const engine = startEngine(start, (message) => {
    observer?.message(message);
    traced.message(message);
    switch (message.kind) {
      case 'ready':
        ready = true;
        job.ready(message);
        break;
      case 'committed':
      case 'store-calls':
        break;
      case 'event':
        job.apply(message.event);
        break;
      case 'warning':
        logger.warn({ job: jobId, attempt }, message.message);
        break;
      case 'store':
        logger.warn({ job: jobId, attempt }, storeMessage(message.report));
        onStore(message.report);
        break;
      case 'ended':
      case 'failed':
      case 'fenced':
        // Everything is committed, and native code would take long to end by itself.
        last = message;
        engine.kill();
        break;
    }
  });
  logger.info({ job: jobId, attempt, pid: engine.pid }, 'engine process started');
  const outcome = engine.exited.then((exit): AttemptOutcome => {
    const found = last ?? { kind: 'crashed', exit, ready };
    traced.end(failureOf(found));
    return found;
  });
  return { engine, outcome };
}

/** The reason of an attempt that did not end as it should. */
function failureOf(outcome: AttemptOutcome): string | undefined {
  switch (outcome.kind) {
    case 'ended':
      return undefined;
    case 'failed':
      return outcome.reason;
    case 'fenced':
      return 'ATTEMPT_FENCED';
    case 'crashed':
      return reasonOfCrash(outcome.exit, outcome.ready);
  }
}

/** The reason of a job whose engine has crashed too often. @param wasReady Whether one of its engines had begun training. */
export function reasonOfCrash({ stderrTail, code, outOfMemory }: ChildExit, wasReady: boolean): WireReason {
  if (outOfMemory === true || code === 137 || /out of memory|bad_alloc/i.test(stderrTail))
    return 'ENGINE_OUT_OF_MEMORY';
  return wasReady ? 'ENGINE_CRASH_LOOP' : 'ENGINE_START';
}
