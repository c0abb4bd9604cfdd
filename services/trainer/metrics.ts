/** The trainer's metrics: a row each, and the observer to which runs of jobs report. */

import { isEnded, JOB_STATES } from '../../shared/contract/index.js';
import { WIRE_REASONS, type Clock } from '../../shared/foundation/index.js';
import { counter, gauge, histogram, LONG_SECONDS, type MetricRegistry } from '../../shared/metrics/index.js';
import type { StoreCalls } from '../../shared/store/index.js';
import type { FromEngine } from './engine-process/messages.js';
import type { JobStatus, StoreReport } from './job.js';

const notEnded = JOB_STATES.filter((state) => !isEnded(state));
const ended = JOB_STATES.filter((state) => isEnded(state));

export const TRAINER_METRICS = {
  jobs: gauge('ip_diffusion_trainer_jobs', 'Jobs that this trainer has and that have not ended.', {
    state: notEnded,
  }),
  jobsEnded: counter(
    'ip_diffusion_trainer_jobs_ended_total',
    'Jobs that ended, by the reason (docs/errors.md) of those that failed.',
    { state: ended, reason: ['none', ...Object.keys(WIRE_REASONS)] },
  ),
  steps: counter(
    'ip_diffusion_trainer_optimizer_steps_total',
    "Optimizer steps, as the jobs' metrics report them; steps repeated after a crash count again.",
  ),
  imagesPerSecond: gauge(
    'ip_diffusion_trainer_images_per_second',
    'Images that running jobs train on in a second, together; by their newest metrics.',
  ),
  loss: gauge(
    'ip_diffusion_trainer_loss',
    'Loss by the newest metrics; the mean of the jobs that run, and no value where none has reported.',
  ),
  evaluationMse: gauge(
    'ip_diffusion_trainer_evaluation_mse',
    'Error on held-out images, whose inputs are not perturbed, by the newest evaluation; the mean of the jobs that run, and no value where none has been evaluated.',
    { weights: ['raw', 'ema'] },
  ),
  sinceCommit: gauge(
    'ip_diffusion_trainer_since_commit_seconds',
    'Time since the last commit, or since training began where there was none; the longest of the jobs that train, and no value where none trains.',
  ),
  commitSeconds: histogram(
    'ip_diffusion_trainer_commit_seconds',
    'Time of commits to the store: of the try that succeeded.',
    LONG_SECONDS,
  ),
  commitBytes: counter('ip_diffusion_trainer_commit_bytes_total', 'Bytes of committed checkpoints.'),
  waitingCommits: gauge(
    'ip_diffusion_trainer_waiting_commits',
    'Commits of running jobs that wait for the store; most of them are in the spill folder.',
  ),
  outages: counter('ip_diffusion_trainer_store_outages_total', 'Outages of the store that running jobs saw.'),
  unavailable: gauge(
    'ip_diffusion_trainer_store_unavailable_seconds',
    'How long running jobs have seen the store unavailable; 0 where it answers.',
  ),
  restarts: counter(
    'ip_diffusion_trainer_engine_restarts_total',
    'Engine processes that were started in place of one that crashed or hung.',
  ),
};

/** Where one run of a job reports. */
export interface RunObserver {
  /** The engine process said this. */
  message(message: FromEngine): void;
  /** The store is unavailable, or answers again; a report that came as a message is given here too. */
  store(report: StoreReport): void;
  /** Another engine process is started in place of one that was lost. */
  restart(): void;
  /** Nothing of it runs any more. */
  over(): void;
}

export interface JobObserver {
  /** A job has its turn. */
  run(): RunObserver;
  ended(status: JobStatus): void;
}

export interface TrainerMetrics extends JobObserver {
  /** Reads the states of its jobs from it. */
  watch(supervisor: { held(): readonly { readonly status: JobStatus }[] }): void;
}

/** What a run reported last. */
interface Run {
  step: number;
  training: { readonly loss: number; readonly imagesPerSecond: number } | undefined;
  evaluation: { readonly mse: number; readonly emaMse: number } | undefined;
  /** Undefined while no engine trains. */
  committedMs: number | undefined;
  waiting: number;
  unavailableSinceMs: number | undefined;
}

/** @param onStoreCalls Called with the engines' calls to the store. */
export function trainerMetrics(
  registry: MetricRegistry,
  clock: Clock,
  onStoreCalls: (calls: readonly StoreCalls[]) => void = () => undefined,
): TrainerMetrics {
  const metrics = registry.add(TRAINER_METRICS);
  const runs = new Set<Run>();

  function sumOf(value: (run: Run) => number): number {
    return [...runs].reduce((sum, run) => sum + value(run), 0);
  }

  /** Of the runs that have the value; undefined where none has. */
  function meanOf(value: (run: Run) => number | undefined): number | undefined {
    const values = [...runs].map(value).filter((each) => each !== undefined);
    return values.length === 0 ? undefined : values.reduce((sum, each) => sum + each, 0) / values.length;
  }

  /** The longest time since one of these; undefined where there is none. */
  function longestSeconds(since: (run: Run) => number | undefined): number | undefined {
    const times = [...runs].map(since).filter((ms) => ms !== undefined);
    return times.length === 0 ? undefined : (clock.monotonicMs() - Math.min(...times)) / 1000;
  }

  metrics.imagesPerSecond.read(() => sumOf(({ training }) => training?.imagesPerSecond ?? 0));
  metrics.loss.read(() => meanOf(({ training }) => training?.loss));
  metrics.evaluationMse.read(() => {
    const raw = meanOf(({ evaluation }) => evaluation?.mse);
    const ema = meanOf(({ evaluation }) => evaluation?.emaMse);
    if (raw === undefined || ema === undefined) return [];
    return [
      [{ weights: 'raw' }, raw],
      [{ weights: 'ema' }, ema],
    ];
  });
  metrics.sinceCommit.read(() => longestSeconds(({ committedMs }) => committedMs));
  metrics.waitingCommits.read(() => sumOf(({ waiting }) => waiting));
  metrics.unavailable.read(() => longestSeconds(({ unavailableSinceMs }) => unavailableSinceMs) ?? 0);

  function reportStore(run: Run, { problem, waiting }: StoreReport): void {
    run.waiting = waiting;
    if (problem === undefined) run.unavailableSinceMs = undefined;
    else if (run.unavailableSinceMs === undefined) {
      // All jobs see the same outage.
      if ([...runs].every(({ unavailableSinceMs }) => unavailableSinceMs === undefined))
        metrics.outages.add(1);
      run.unavailableSinceMs = clock.monotonicMs();
    }
  }

  function receive(run: Run, message: FromEngine): void {
    switch (message.kind) {
      case 'ready':
        run.step = message.step;
        run.committedMs = clock.monotonicMs();
        return;
      case 'event': {
        if (message.event.kind === 'evaluation') run.evaluation = message.event.evaluation;
        if (message.event.kind !== 'metrics') return;
        const { step, loss, imagesPerSecond } = message.event.metrics;
        metrics.steps.add(Math.max(0, step - run.step));
        run.step = step;
        run.training = { loss, imagesPerSecond };
        return;
      }
      case 'committed':
        run.committedMs = clock.monotonicMs();
        run.waiting = message.waiting;
        metrics.commitSeconds.observe(message.ms / 1000);
        metrics.commitBytes.add(message.bytes);
        return;
      case 'store-calls':
        onStoreCalls(message.calls);
        return;
      default:
    }
  }

  return {
    run: () => {
      const run: Run = newRun();
      runs.add(run);
      return {
        message: (message) => {
          receive(run, message);
        },
        store: (report) => {
          reportStore(run, report);
        },
        restart: () => {
          metrics.restarts.add(1);
          // What the lost process saw of its store, its successor sees by itself.
          Object.assign(run, newRun());
        },
        over: () => {
          runs.delete(run);
        },
      };
    },
    ended: ({ state, failureReason }) => {
      metrics.jobsEnded.add(1, { state, reason: failureReason ?? 'none' });
    },
    watch: (supervisor) => {
      metrics.jobs.read(() => {
        const states = supervisor.held().map(({ status }) => status.state);
        return notEnded.map((state) => [{ state }, states.filter((each) => each === state).length]);
      });
    },
  };
}

function newRun(): Run {
  return {
    ...{ step: 0, waiting: 0 },
    ...{ training: undefined, evaluation: undefined, committedMs: undefined, unavailableSinceMs: undefined },
  };
}
