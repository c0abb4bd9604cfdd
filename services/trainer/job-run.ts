/** One job from its turn in the queue to its end: an attempt, and another one when its engine process crashes. */

import { DiffusionError, pause } from '../../shared/foundation/index.js';
import { describeExit, exitDetail } from '../../shared/processes/index.js';
import { claimAttempt } from '../../shared/models/index.js';
import { isPassing, retryOutages, type ObjectStore } from '../../shared/store/index.js';
import type { ActiveJob } from './active-job.js';
import type { EngineProcess } from './engine.js';
import { beginAttempt, reasonOfCrash, type AttemptOutcome, type AttemptSettings } from './engine-attempt.js';
import { cancelledAt, type StoreReport } from './job.js';
import type { JobObserver, RunObserver } from './metrics.js';
import { reportBeforeTraining, waitingText } from './store-report.js';

export interface JobRunSettings extends AttemptSettings {
  readonly store: ObjectStore;
  /** Engines that may crash, one after another, without a new checkpoint in between. */
  readonly restartLimit: number;
  /** Wait before the first restart; it doubles with each further one. */
  readonly restartDelayMs: number;
  /** How long an engine may take to commit and end when asked to. */
  readonly stopGraceMs: number;
  readonly observer?: JobObserver;
}

/** Why a run is to end early: for good, or because the service stops. */
type Interruption = 'cancel' | 'suspend' | 'abandon';

const LONGEST_WAIT_MS = 30_000;
const START_AGAIN_DELAYS = 10;

export class JobRun {
  readonly job: ActiveJob;
  /** Resolves when nothing runs any more; the job has then ended, or waits for another trainer to recover it. */
  readonly done: Promise<void>;
  readonly #settings: JobRunSettings;
  readonly #interrupted = new AbortController();
  #interruption: Interruption | undefined;
  #engine: EngineProcess | undefined;
  readonly #observer: RunObserver | undefined;

  constructor(job: ActiveJob, settings: JobRunSettings) {
    this.job = job;
    this.#settings = settings;
    this.#observer = settings.observer?.run();
    this.done = this.#run()
      .catch((error: unknown) => {
        settings.logger.error({ job: job.id, err: error }, 'the job failed by an error of the service');
        job.change('FAILED', 'the service failed; its log has the cause', 'INTERNAL');
      })
      .finally(() => {
        this.#observer?.over();
      });
  }

  /** Lets the engine commit and end, within the grace. A cancellation replaces a suspension, not the other way round. */
  interrupt(by: 'cancel' | 'suspend'): void {
    if (this.#interruption === undefined || this.#interruption === 'suspend') this.#interruption = by;
    this.#interrupted.abort();
    if (this.#engine !== undefined) this.#endWithinGrace(this.#engine);
  }

  /** Another trainer has the job: the engine, which can't commit any more, is ended at once. */
  abandon(): void {
    this.#interruption = 'abandon';
    this.#interrupted.abort();
    this.#engine?.kill();
  }

  async #run(): Promise<void> {
    const { job } = this;
    const { restartLimit, restartDelayMs } = this.#settings;
    let crashes = 0;
    let wasReady = false;
    let attempt: number | undefined;
    for (;;) {
      attempt = await this.#claim(attempt);
      if (attempt === undefined) return;
      const committedBefore = job.status.committedStep;
      job.begin(attempt);
      const outcome = await this.#attempt(attempt);
      if (outcome.kind === 'ended' || outcome.kind === 'failed') {
        this.#end(outcome);
        return;
      }
      // An attempt is fenced off by another trainer, which the lease shows when it is saved, or by something that has no lease.
      if (outcome.kind === 'fenced') {
        attempt = undefined;
        await job.save();
      }
      if (this.#endAsAsked()) return;
      const crash = outcome.kind === 'crashed' ? outcome : { exit: undefined, ready: true };
      wasReady ||= crash.ready;
      if (crash.exit?.lackedToStart !== undefined) {
        await this.#waitToStart(describeExit(crash.exit));
        if (this.#endAsAsked()) return;
        continue;
      }
      crashes = job.status.committedStep > committedBefore ? 1 : crashes + 1;
      const why =
        crash.exit === undefined
          ? 'the attempt was fenced off'
          : `the engine process ${describeExit(crash.exit)}`;
      const detail = crash.exit === undefined ? undefined : exitDetail(crash.exit);
      this.#settings.logger.warn({ job: job.id, attempt: job.status.attempt, crashes, detail }, why);
      if (crashes > restartLimit) {
        const reason = crash.exit === undefined ? 'INTERNAL' : reasonOfCrash(crash.exit, wasReady);
        job.change('FAILED', `${why}; ${crashes} times without a new checkpoint`, reason);
        return;
      }
      job.change('RETRYING', `${why}; a new one resumes from step ${job.status.committedStep}`);
      await this.#wait(Math.min(restartDelayMs * 2 ** (crashes - 1), LONGEST_WAIT_MS));
      if (this.#endAsAsked()) return;
      this.#observer?.restart();
    }
  }

  /**
   * The next attempt's number; undefined where the run has ended instead.
   *
   * @param before The attempt whose engine has just ended. It goes on where the store is unavailable: no process is left
   * that could commit under it, and its newest checkpoints may wait on this machine.
   */
  async #claim(before: number | undefined): Promise<number | undefined> {
    const { store, clock, storeRetryLimitMs, restartDelayMs, logger, spill } = this.#settings;
    const { signal } = this.#interrupted;
    if (before !== undefined && spill !== undefined) {
      try {
        return await claimAttempt(store, this.job.id, { signal });
      } catch (error) {
        if (isPassing(error)) return before;
      }
    }
    const outageSettings = {
      limitMs: storeRetryLimitMs,
      clock,
      firstDelayMs: restartDelayMs,
      onOutage: (error: DiffusionError | undefined) => {
        logger.warn({ job: this.job.id, err: error }, 'claiming an attempt');
        this.#reportStore(reportBeforeTraining(error, clock));
      },
    };
    try {
      return await retryOutages(outageSettings, signal, () => claimAttempt(store, this.job.id, { signal }));
    } catch (error) {
      if (!this.#endAsAsked()) this.job.change('FAILED', textOf(error), 'STORE_UNAVAILABLE');
      return undefined;
    }
  }

  #reportStore(report: StoreReport): void {
    this.#observer?.store(report);
    this.job.reportStore(report, this.#settings.spill?.maxBytes ?? 0);
  }

  async #attempt(attempt: number): Promise<AttemptOutcome> {
    const { engine, outcome } = beginAttempt(this.job, attempt, {
      settings: this.#settings,
      observer: this.#observer,
      onStore: (report) => {
        this.#reportStore(report);
      },
    });
    this.#engine = engine;
    if (this.#interruption !== undefined) this.#endWithinGrace(engine);
    const ended = await outcome;
    this.#engine = undefined;
    return ended;
  }

  #end(outcome: Extract<AttemptOutcome, { kind: 'ended' | 'failed' }>): void {
    const { job } = this;
    if (outcome.kind === 'failed') job.change('FAILED', outcome.message, outcome.reason);
    else if (outcome.how === 'finished') {
      job.change('SUCCEEDED', `all ${job.record.recipe.training.steps} steps are done`);
    } else this.#endAsAsked(outcome.waiting);
  }

  /**
   * Ends the run as its interruption asks; false where there is none.
   *
   * @param waiting Commits that are spilled only.
   */
  #endAsAsked(waiting = 0): boolean {
    const spilled = waiting === 0 ? '' : `; ${waitingText(waiting)} in the spill folder of this trainer`;
    switch (this.#interruption) {
      case undefined:
        return false;
      case 'cancel':
        this.job.change('CANCELLED', cancelledAt(this.job.status.committedStep) + spilled);
        return true;
      case 'suspend':
        this.job.change(
          'RETRYING',
          `the service stopped; the job is resumed when a trainer starts${spilled}`,
        );
        return true;
      case 'abandon':
        return true;
    }
  }

  #endWithinGrace(engine: EngineProcess): void {
    engine.stop();
    const timer = setTimeout(() => {
      engine.kill();
    }, this.#settings.stopGraceMs);
    void engine.exited.then(() => {
      clearTimeout(timer);
    });
  }

  /** The machine has no process, memory or file descriptor to give now; that is no fault of the job. */
  async #waitToStart(why: string): Promise<void> {
    this.#settings.logger.warn({ job: this.job.id }, `the engine process ${why}`);
    this.job.change('RETRYING', `the engine process ${why}; it is tried again`);
    await this.#wait(Math.min(START_AGAIN_DELAYS * this.#settings.restartDelayMs, LONGEST_WAIT_MS));
  }

  async #wait(ms: number): Promise<void> {
    await pause(ms, this.#interrupted.signal);
  }
}

function textOf(error: unknown): string {
  return error instanceof DiffusionError ? error.message : String(error);
}
