/** The table of the trainer's settings: plain data, from which flags, help, documentation and errors follow. */

import { anyText, count, DEVICE_SETTINGS, ENGINE_SETTINGS, setting } from '../../shared/foundation/index.js';
import { ADDRESS_SETTINGS, SERVER_SETTINGS } from '../../shared/rpc/index.js';
import type { ServiceSettings } from '../../shared/settings/index.js';
import { DATASET_SETTINGS, STORE_SETTINGS } from '../../shared/store/index.js';

export const TRAINER_OWN = {
  address: ADDRESS_SETTINGS.trainer,
  name: setting(
    'IP_DIFFUSION_TRAINER_NAME',
    anyText('NAME'),
    'the name that others see as the trainer of a job; the service itself does not use it',
    { otherwise: "the host's name" },
  ),
  jobs: setting('IP_DIFFUSION_TRAINER_JOBS', count(), 'jobs that run at once, at most', { fallback: 1 }),
  maxQueue: setting('IP_DIFFUSION_TRAINER_MAX_QUEUE', count(0), 'jobs that wait for their turn, at most', {
    fallback: 16,
  }),
  engineRestarts: setting(
    'IP_DIFFUSION_ENGINE_RESTARTS',
    count(0),
    'crashes in a row without a new checkpoint after which a job fails',
    { fallback: 3 },
  ),
  engineRestartDelayMs: setting(
    'IP_DIFFUSION_ENGINE_RESTART_DELAY_MS',
    count(),
    'the wait before a crashed engine is restarted; it doubles with each crash in a row',
    { fallback: 1000, unit: 'ms' },
  ),
  stopGraceMs: setting('IP_DIFFUSION_STOP_GRACE_MS', count(), 'time for an engine to commit and end', {
    fallback: 120_000,
    unit: 'ms',
  }),
  storeRetryLimitMs: setting(
    'IP_DIFFUSION_STORE_RETRY_LIMIT_MS',
    count(),
    'how long the store may be unavailable before a job fails',
    { fallback: 6 * 3_600_000, unit: 'ms' },
  ),
  spill: setting(
    'IP_DIFFUSION_SPILL',
    anyText('DIR'),
    'where checkpoints, events and status wait that the store does not take; on a disk that outlives the process',
    { otherwise: '`spill` in the cache' },
  ),
  spillMaxMb: setting(
    'IP_DIFFUSION_SPILL_MAX_MB',
    count(0),
    'size of the waiting checkpoints of the jobs that run, at most; 0 for none: then training waits for the store',
    { fallback: 20_000, unit: 'MB' },
  ),
} as const;

export const TRAINER_SETTINGS: ServiceSettings<'trainer'> = {
  service: 'trainer',
  shared: { ...STORE_SETTINGS, ...SERVER_SETTINGS, ...ENGINE_SETTINGS, ...DEVICE_SETTINGS },
  own: { ...TRAINER_OWN, ...DATASET_SETTINGS },
};
