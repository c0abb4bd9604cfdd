/** The alerts, a row each with what to do about it. `rules-file.ts` and `run-books.ts` are made of them. */

export interface Alert {
  /** Its name, and the heading of its run-book. */
  readonly name: string;
  readonly expression: string;
  /** How long the expression must hold, as Prometheus writes durations. */
  readonly holds: string;
  readonly severity: 'critical' | 'warning';
  /** One sentence for whoever is called. `{{ $value }}` is the expression's. */
  readonly summary: string;
  readonly runBook: {
    /** What it means for users. */
    readonly means: string;
    /** Where to look, in order. */
    readonly look: readonly string[];
    /** What helps. */
    readonly act: readonly string[];
  };
}

/** Counts what ended in the last quarter of an hour, with series that did not exist before. */
function recently(series: string): string {
  return `(increase(${series}[15m]) > 0) or ((${series} unless ${series} offset 15m) > 0)`;
}

export const ALERTS: readonly Alert[] = [
  {
    name: 'CommitOverdue',
    expression: 'ip_diffusion_trainer_since_commit_seconds > 3600',
    holds: '5m',
    severity: 'warning',
    summary: 'A job has trained for {{ $value | humanizeDuration }} without committing a checkpoint.',
    runBook: {
      means:
        'A crash now costs the training since the last commit. The job goes on. Where jobs commit less often on purpose, raise the limit of 3600 s.',
      look: [
        '`ip-diffusion jobs show JOB`: the steps, and whether it says that the store is unavailable or slow.',
        "The panels 'Waiting commits' and 'Store unavailable': commits that wait are in the spill folder, and safe while the disk is.",
        'The recipe: `training.checkpoint_every_steps` may be more than an hour of steps.',
      ],
      act: [
        'Where the store is the cause, repair it: the trainer uploads what waits by itself.',
        'Where the training is stuck (no optimizer steps), the heartbeat timeout ends the engine; `ip-diffusion jobs cancel JOB` and `resume` do so at once.',
      ],
    },
  },
  {
    name: 'TrainingDiverged',
    expression: recently('ip_diffusion_trainer_jobs_ended_total{reason="DIVERGED"}'),
    holds: '0m',
    severity: 'warning',
    summary: 'A job ended because its loss was not finite any more.',
    runBook: {
      means: 'The job has ended with DIVERGED. Its committed checkpoints are kept and served.',
      look: [
        '`ip-diffusion jobs show JOB`: the step, and the norm of the gradient before it.',
        "The panel 'Loss': a slow rise points at the learning rate, a single peak at the data.",
      ],
      act: [
        'Begin a new job from an earlier checkpoint (`--warm-start`) with a lower learning rate or with gradient clipping.',
        'With bfloat16, try float32.',
      ],
    },
  },
  {
    name: 'JobFailed',
    expression: recently('ip_diffusion_trainer_jobs_ended_total{state="FAILED",reason!="DIVERGED"}'),
    holds: '0m',
    severity: 'warning',
    summary: 'A job failed with {{ $labels.reason }}.',
    runBook: {
      means: 'A training job has ended before its last step. It does not start again by itself.',
      look: [
        '`ip-diffusion jobs show JOB`: the failure in words.',
        'The reason in [errors.md](errors.md).',
        "The trainer's log of that time.",
      ],
      act: ['Remove the cause, then `ip-diffusion jobs resume JOB`: it goes on from the last commit.'],
    },
  },
  {
    name: 'EngineCrashLoop',
    expression:
      'increase(ip_diffusion_trainer_engine_restarts_total[15m]) > 2 or increase(ip_diffusion_sampler_engine_restarts_total[15m]) > 2',
    holds: '0m',
    severity: 'critical',
    summary: 'Engine processes of {{ $labels.instance }} crash again and again.',
    runBook: {
      means:
        'Engine processes crash or hang and are replaced. Jobs lose time and fail after a few crashes without a new checkpoint; calls of the sampler fail or wait.',
      look: [
        "The service's log: the last lines of each crashed engine are in it.",
        'Memory: an engine that the system killed ends with ENGINE_OUT_OF_MEMORY. Compare the container’s limit with the peak in the log.',
        '`ip-diffusion doctor` on the same machine: whether TensorFlow and the kernels load.',
      ],
      act: [
        'Give the container more memory, or train with smaller microbatches or `--gradient-checkpointing`.',
        'Set `IP_DIFFUSION_NATIVE_KERNELS` to a lower level or to `off`, to see whether the kernels are the cause.',
      ],
    },
  },
  {
    name: 'SamplerBacklog',
    expression: 'sum(ip_diffusion_sampler_calls_waiting) > 32',
    holds: '10m',
    severity: 'warning',
    summary: '{{ $value }} calls wait for a sampler.',
    runBook: {
      means:
        'Clients wait in the queue. When a queue is full, or a call would end after its deadline, further calls are refused with BUSY.',
      look: [
        "The panels 'Calls waiting and running' and 'Wait': which priority waits, and on which replica.",
        "The panel 'Rows of a pass': full passes mean that the samplers do what they can.",
      ],
      act: [
        'Add replicas. KEDA does it by itself up to its maximum (`autoscaling.maxReplicas` of the chart).',
        'Ask for fewer steps (a solver such as DPM-Solver++ needs 15), or send bulk work with priority `batch`.',
      ],
    },
  },
  {
    name: 'StoreErrors',
    expression:
      'sum by (operation, outcome) (rate(ip_diffusion_store_calls_total{outcome!~"OK|NOT_FOUND|ABORTED|CANCELLED"}[5m])) > 0.05',
    holds: '5m',
    severity: 'warning',
    summary: 'Calls to the store end with {{ $labels.outcome }} ({{ $labels.operation }}).',
    runBook: {
      means:
        'The store refuses or fails calls. Training goes on and keeps checkpoints in its spill folder; models that are loaded are served.',
      look: [
        'The outcome: UNAVAILABLE is an outage or a network, PERMISSION_DENIED a key or a policy, DATA_LOSS damage.',
        '`ip-diffusion doctor` with the settings of the service: it tries the store.',
        "The store's own log and its free space.",
      ],
      act: ['Repair the store or its keys. Nothing has to be started again.'],
    },
  },
  {
    name: 'StoreUnavailable',
    expression: 'ip_diffusion_trainer_store_unavailable_seconds > 300',
    holds: '0m',
    severity: 'critical',
    summary: 'A trainer has not reached its store for {{ $value | humanizeDuration }}.',
    runBook: {
      means:
        'Checkpoints wait in the spill folder of the trainer. After IP_DIFFUSION_STORE_RETRY_LIMIT_MS (6 h) jobs fail.',
      look: [
        "The panel 'Waiting commits', and the free space of the spill folder's disk.",
        'Whether others reach the store: if only this trainer is cut off, it is the network.',
      ],
      act: [
        'Repair the store. Do not remove the spill folder: it holds the only copy of the newest checkpoints.',
      ],
    },
  },
  {
    name: 'ServiceDown',
    expression: 'up{job="ip-diffusion"} == 0',
    holds: '2m',
    severity: 'critical',
    summary: 'Prometheus does not reach the metrics of {{ $labels.instance }}.',
    runBook: {
      means: 'The service does not run, or its metrics are not served.',
      look: [
        'Whether the process or pod runs, and its last lines: a service that does not start says why in one line.',
        'Its health over gRPC: where that is SERVING, only IP_DIFFUSION_METRICS_ADDRESS or the network is wrong.',
      ],
      act: [
        'Correct what the last line of the log names, and start it again. Jobs resume from the last commit.',
      ],
    },
  },
];
