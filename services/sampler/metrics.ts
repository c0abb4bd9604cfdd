/** The sampler's metrics: a row each, and the observers by which its parts report. */

import { PRIORITIES, type Priority } from '../../shared/contract/index.js';
import {
  counter,
  gauge,
  histogram,
  LONG_SECONDS,
  SHORT_SECONDS,
  type MetricRegistry,
} from '../../shared/metrics/index.js';

export const SAMPLER_METRICS = {
  waiting: gauge('ip_diffusion_sampler_calls_waiting', 'Calls in the queue.', { priority: PRIORITIES }),
  running: gauge('ip_diffusion_sampler_calls_running', 'Calls that have their place.'),
  waitSeconds: histogram(
    'ip_diffusion_sampler_wait_seconds',
    'Time of calls in the queue until they got a place or left; 0 for those that did not have to wait.',
    LONG_SECONDS,
    { priority: PRIORITIES },
  ),
  firstImageSeconds: histogram(
    'ip_diffusion_sampler_first_image_seconds',
    "Time from a call's arrival until its reader had its first image.",
    LONG_SECONDS,
    { priority: PRIORITIES },
  ),
  completeSeconds: histogram(
    'ip_diffusion_sampler_complete_seconds',
    "Time from a call's arrival until its reader had all its images; of calls that were completed.",
    LONG_SECONDS,
    { priority: PRIORITIES },
  ),
  images: counter('ip_diffusion_sampler_images_total', 'Images that readers have had.'),
  passRows: histogram(
    'ip_diffusion_sampler_pass_rows',
    'Rows of forward passes, without padding.',
    [1, 2, 4, 8, 16],
  ),
  paddingRows: counter(
    'ip_diffusion_sampler_padding_rows_total',
    'Rows that were computed for nothing, to fill passes to one of their sizes.',
  ),
  passSeconds: histogram('ip_diffusion_sampler_pass_seconds', 'Time of forward passes.', SHORT_SECONDS),
  models: gauge('ip_diffusion_sampler_models_loaded', 'Sets of weights that are loaded.'),
  modelBytes: gauge(
    'ip_diffusion_sampler_models_bytes',
    'Memory of their engine processes: the most that each has taken.',
  ),
  restarts: counter(
    'ip_diffusion_sampler_engine_restarts_total',
    'Engine processes that were started in place of one that crashed or hung.',
  ),
};

/** Called with each call that leaves the queue, with a place or without one. @param ms Since it came. */
export type OnWaited = (priority: Priority, ms: number) => void;

/** What a call that runs the network reports. */
export interface SamplingObserver {
  /** An image was handed over. @param sinceMs Since the call came, of its first image only. */
  image(priority: Priority, sinceMs: number | undefined): void;
  completed(priority: Priority, ms: number): void;
}

/** What a loaded model reports. */
export interface EngineObserver {
  /** A pass has been computed. */
  pass(pass: { readonly rows: number; readonly padding: number; readonly ms: number }): void;
  /** An engine is started in place of one that was lost. */
  restart(): void;
}

export interface SamplerMetrics {
  readonly sampling: SamplingObserver;
  readonly engine: EngineObserver;
  readonly onWaited: OnWaited;
  /** Reads what is so at a moment from these. */
  watch(
    admission: {
      readonly held: { readonly calls: number };
      waitingOf(priority: Priority): number;
    },
    models: { loaded(): readonly { readonly bytes: number }[] },
  ): void;
}

export function samplerMetrics(registry: MetricRegistry): SamplerMetrics {
  const metrics = registry.add(SAMPLER_METRICS);
  return {
    sampling: {
      image: (priority, sinceMs) => {
        metrics.images.add(1);
        if (sinceMs !== undefined) metrics.firstImageSeconds.observe(sinceMs / 1000, { priority });
      },
      completed: (priority, ms) => {
        metrics.completeSeconds.observe(ms / 1000, { priority });
      },
    },
    engine: {
      pass: ({ rows, padding, ms }) => {
        metrics.passRows.observe(rows);
        metrics.paddingRows.add(padding);
        metrics.passSeconds.observe(ms / 1000);
      },
      restart: () => {
        metrics.restarts.add(1);
      },
    },
    onWaited: (priority, ms) => {
      metrics.waitSeconds.observe(ms / 1000, { priority });
    },
    watch: (admission, models) => {
      metrics.waiting.read(() =>
        PRIORITIES.map((priority) => [{ priority }, admission.waitingOf(priority)] as const),
      );
      metrics.running.read(() => admission.held.calls);
      metrics.models.read(() => models.loaded().length);
      metrics.modelBytes.read(() => models.loaded().reduce((sum, { bytes }) => sum + bytes, 0));
    },
  };
}
