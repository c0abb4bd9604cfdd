/** The dashboards: a row a panel. `dashboard-files.ts` makes Grafana's files of them. */

export interface Query {
  readonly expression: string;
  /** What the legend says; `{{label}}` is a label's value. */
  readonly legend: string;
}

export interface Panel {
  readonly title: string;
  readonly description: string;
  /** Of the axis, as Grafana names it. */
  readonly unit: 's' | 'bytes' | 'short' | 'reqps' | 'percentunit' | 'ops' | 'Bps';
  readonly queries: readonly Query[];
}

export interface Dashboard {
  readonly name: string;
  readonly title: string;
  readonly panels: readonly Panel[];
}

/** Grafana's, the shortest time over which a rate has enough samples. */
export const INTERVAL = '$__rate_interval';

const rate = (series: string): string => `rate(${series}[${INTERVAL}])`;
const one = (expression: string, legend: string): Query[] => [{ expression, legend }];

/** The median and the 95th percentile of a histogram. */
function percentiles(histogram: string, by: string): Query[] {
  return [0.5, 0.95].map((quantile) => ({
    expression: `histogram_quantile(${quantile}, sum by (le, ${by}) (${rate(`${histogram}_bucket`)}))`,
    legend: `{{${by}}} p${quantile * 100}`,
  }));
}

export const DASHBOARDS: readonly Dashboard[] = [
  {
    name: 'serving',
    title: 'ip-diffusion: serving',
    panels: [
      {
        title: 'Calls',
        description: 'Calls that ended, a second, by method.',
        unit: 'reqps',
        queries: one(`sum by (method) (${rate('ip_diffusion_calls_total')})`, '{{method}}'),
      },
      {
        title: 'Errors',
        description: 'The share of calls that ended with another code than OK, by code.',
        unit: 'percentunit',
        queries: one(
          `sum by (code) (${rate('ip_diffusion_calls_total{code!="OK"}')}) / ignoring (code) group_left sum(${rate('ip_diffusion_calls_total')})`,
          '{{code}}',
        ),
      },
      {
        title: 'Duration',
        description: 'Time of calls by method. Streams last until their last message.',
        unit: 's',
        queries: percentiles('ip_diffusion_call_seconds', 'method'),
      },
      {
        title: 'Calls waiting and running',
        description: 'Calls in the queues, and those that have their place, of all samplers.',
        unit: 'short',
        queries: [
          { expression: 'sum(ip_diffusion_sampler_calls_waiting)', legend: 'waiting' },
          { expression: 'sum(ip_diffusion_sampler_calls_running)', legend: 'running' },
        ],
      },
      {
        title: 'Wait',
        description: 'Time of calls in the queue, by priority.',
        unit: 's',
        queries: percentiles('ip_diffusion_sampler_wait_seconds', 'priority'),
      },
      {
        title: 'First image',
        description: "Time from a call's arrival to its first image, by priority.",
        unit: 's',
        queries: percentiles('ip_diffusion_sampler_first_image_seconds', 'priority'),
      },
      {
        title: 'Images',
        description: 'Images that readers had, a second, by sampler.',
        unit: 'ops',
        queries: one(`sum by (instance) (${rate('ip_diffusion_sampler_images_total')})`, '{{instance}}'),
      },
      {
        title: 'Rows of a pass',
        description:
          'Mean rows of a forward pass. Few rows while calls wait point at large models or at memory.',
        unit: 'short',
        queries: one(
          `sum by (instance) (${rate('ip_diffusion_sampler_pass_rows_sum')}) / sum by (instance) (${rate('ip_diffusion_sampler_pass_rows_count')})`,
          '{{instance}}',
        ),
      },
      {
        title: 'Padding',
        description: 'The share of computed rows that were padding.',
        unit: 'percentunit',
        queries: one(
          `sum(${rate('ip_diffusion_sampler_padding_rows_total')}) / (sum(${rate('ip_diffusion_sampler_padding_rows_total')}) + sum(${rate('ip_diffusion_sampler_pass_rows_sum')}))`,
          'padding',
        ),
      },
      {
        title: 'Engines busy',
        description:
          'Time of forward passes a second, by sampler: two passes may take turns, so that 1 is busy.',
        unit: 'percentunit',
        queries: one(`sum by (instance) (${rate('ip_diffusion_sampler_pass_seconds_sum')})`, '{{instance}}'),
      },
      {
        title: 'Loaded models',
        description: 'Memory of the engine processes, and how many sets of weights are loaded.',
        unit: 'bytes',
        queries: one('sum by (instance) (ip_diffusion_sampler_models_bytes)', '{{instance}}'),
      },
      {
        title: 'Engine restarts',
        description: 'Engine processes that replaced one that crashed or hung, in an hour.',
        unit: 'short',
        queries: [
          { expression: 'sum(increase(ip_diffusion_sampler_engine_restarts_total[1h]))', legend: 'sampler' },
          { expression: 'sum(increase(ip_diffusion_trainer_engine_restarts_total[1h]))', legend: 'trainer' },
        ],
      },
    ],
  },
  {
    name: 'training',
    title: 'ip-diffusion: training',
    panels: [
      {
        title: 'Loss',
        description: 'The newest loss of the jobs that run.',
        unit: 'short',
        queries: one('ip_diffusion_trainer_loss', '{{instance}}'),
      },
      {
        title: 'Error on held-out images',
        description: 'Mean squared error without input perturbation, of the newest evaluation.',
        unit: 'short',
        queries: one('ip_diffusion_trainer_evaluation_mse', '{{instance}} {{weights}}'),
      },
      {
        title: 'Images',
        description: 'Images that running jobs train on in a second.',
        unit: 'ops',
        queries: one('ip_diffusion_trainer_images_per_second', '{{instance}}'),
      },
      {
        title: 'Optimizer steps',
        description: 'Optimizer steps a second.',
        unit: 'ops',
        queries: one(
          `sum by (instance) (${rate('ip_diffusion_trainer_optimizer_steps_total')})`,
          '{{instance}}',
        ),
      },
      {
        title: 'Time since the last commit',
        description: 'What a crash would cost; the longest of the jobs that train.',
        unit: 's',
        queries: one('ip_diffusion_trainer_since_commit_seconds', '{{instance}}'),
      },
      {
        title: 'Jobs',
        description: 'Jobs that have not ended, by state.',
        unit: 'short',
        queries: one('sum by (state) (ip_diffusion_trainer_jobs)', '{{state}}'),
      },
      {
        title: 'Ended jobs',
        description: 'Jobs that ended since the trainers started, by state and reason.',
        unit: 'short',
        queries: one(
          'sum by (state, reason) (ip_diffusion_trainer_jobs_ended_total)',
          '{{state}} {{reason}}',
        ),
      },
      {
        title: 'Time of commits',
        description: 'Time of commits to the store.',
        unit: 's',
        queries: percentiles('ip_diffusion_trainer_commit_seconds', 'instance'),
      },
    ],
  },
  {
    name: 'store',
    title: 'ip-diffusion: store',
    panels: [
      {
        title: 'Calls',
        description: 'Calls to the store, a second, by operation.',
        unit: 'reqps',
        queries: one(`sum by (operation) (${rate('ip_diffusion_store_calls_total')})`, '{{operation}}'),
      },
      {
        title: 'Outcomes',
        description: 'Calls by outcome. NOT_FOUND and ABORTED are part of normal work.',
        unit: 'reqps',
        queries: one(`sum by (outcome) (${rate('ip_diffusion_store_calls_total')})`, '{{outcome}}'),
      },
      {
        title: 'Duration',
        description: 'Time of calls, by operation.',
        unit: 's',
        queries: percentiles('ip_diffusion_store_call_seconds', 'operation'),
      },
      {
        title: 'Committed bytes',
        description: 'Bytes of checkpoints, a second.',
        unit: 'Bps',
        queries: one(`sum(${rate('ip_diffusion_trainer_commit_bytes_total')})`, 'checkpoints'),
      },
      {
        title: 'Waiting commits',
        description: 'Commits that wait for the store, most of them in the spill folder.',
        unit: 'short',
        queries: one('ip_diffusion_trainer_waiting_commits', '{{instance}}'),
      },
      {
        title: 'Store unavailable',
        description: 'How long trainers have not reached the store.',
        unit: 's',
        queries: one('ip_diffusion_trainer_store_unavailable_seconds', '{{instance}}'),
      },
      {
        title: 'Memory of the services',
        description: 'Resident memory of the service processes, without their engines.',
        unit: 'bytes',
        queries: one('process_resident_memory_bytes{job="ip-diffusion"}', '{{instance}}'),
      },
    ],
  },
];
