/** The table of the sampler's settings: plain data, from which flags, help, documentation and errors follow. */

import { anyText, count, DEVICE_SETTINGS, ENGINE_SETTINGS, setting } from '../../shared/foundation/index.js';
import { ADDRESS_SETTINGS, SERVER_SETTINGS } from '../../shared/rpc/index.js';
import { DATASET_SETTINGS, STORE_SETTINGS } from '../../shared/store/index.js';
import type { ServiceSettings } from '../../shared/settings/index.js';

export const SAMPLER_OWN = {
  address: ADDRESS_SETTINGS.sampler,
  resumeKey: setting(
    'IP_DIFFUSION_RESUME_KEY_FILE',
    anyText('FILE'),
    'the key that resume tokens are signed with',
    { otherwise: 'one that is kept in the store' },
  ),
  maxImages: setting('IP_DIFFUSION_SAMPLER_MAX_IMAGES', count(), 'images of one call, at most', {
    fallback: 4096,
  }),
  maxCalls: setting('IP_DIFFUSION_SAMPLER_MAX_CALLS', count(), 'calls in work at once, at most', {
    fallback: 64,
  }),
  maxCost: setting(
    'IP_DIFFUSION_SAMPLER_MAX_COST',
    count(),
    'network evaluations times pixels of all calls in work, at most',
    { fallback: 40_000, unit: 'millions' },
  ),
  maxWorkingMib: setting(
    'IP_DIFFUSION_SAMPLER_MAX_WORKING_MIB',
    count(),
    'memory of all calls in work, by an estimate, at most',
    { fallback: 1024, unit: 'MiB' },
  ),
  maxWaiting: setting('IP_DIFFUSION_SAMPLER_MAX_WAITING', count(), 'calls that wait for a place, at most', {
    fallback: 256,
  }),
  maxRequestsMib: setting(
    'IP_DIFFUSION_SAMPLER_MAX_REQUESTS_MIB',
    count(),
    'memory of the requests of all calls, waiting and in work, at most',
    { fallback: 512, unit: 'MiB' },
  ),
  callerPercent: setting(
    'IP_DIFFUSION_SAMPLER_CALLER_PERCENT',
    count(1, 100),
    'the part of each of these limits that one caller may have',
    { fallback: 50, unit: '%' },
  ),
  maxReceivingMib: setting(
    'IP_DIFFUSION_SAMPLER_MAX_RECEIVING_MIB',
    count(),
    'memory of all requests that are being received, at most',
    { fallback: 256, unit: 'MiB' },
  ),
  receivingSeconds: setting(
    'IP_DIFFUSION_SAMPLER_RECEIVING_SECONDS',
    count(1, 2_000_000),
    'a request that is not whole after this time is refused',
    { fallback: 60, unit: 's' },
  ),
  maxDecodes: setting(
    'IP_DIFFUSION_SAMPLER_MAX_DECODES',
    count(),
    'pictures of requests that are decoded at once, at most',
    { fallback: 2 },
  ),
  maxModels: setting(
    'IP_DIFFUSION_SAMPLER_MAX_MODELS',
    count(),
    'models that stay loaded, at most; one more engine runs while a model is being replaced',
    { fallback: 2 },
  ),
  modelsMib: setting(
    'IP_DIFFUSION_SAMPLER_MODELS_MIB',
    count(),
    'memory of the loaded models, at most; twice as much while one is being replaced',
    { otherwise: 'half of the memory of the machine, or of the container', unit: 'MiB' },
  ),
  drainSeconds: setting(
    'IP_DIFFUSION_SAMPLER_DRAIN_SECONDS',
    count(0, 86_400),
    'how long calls may go on when the service stops; then unfinished ones get resume tokens and end as UNAVAILABLE',
    { fallback: 10, unit: 's' },
  ),
  measurements: setting('IP_DIFFUSION_MEASUREMENTS', count(), 'measurements that run at once, at most', {
    fallback: 1,
  }),
  maxMeasurements: setting(
    'IP_DIFFUSION_MAX_MEASUREMENTS',
    count(),
    'measurements that run or wait, at most',
    { fallback: 64 },
  ),
  measurementMaxImages: setting(
    'IP_DIFFUSION_MEASUREMENT_MAX_IMAGES',
    count(),
    'images of one measurement, at most',
    { fallback: 50_000 },
  ),
  measurementMaxEvaluations: setting(
    'IP_DIFFUSION_MEASUREMENT_MAX_EVALUATIONS',
    count(),
    'network evaluations of one measurement, at most',
    { fallback: 100, unit: 'millions' },
  ),
  measurementMaxMib: setting(
    'IP_DIFFUSION_MEASUREMENT_MAX_MIB',
    count(),
    'images that one measurement holds on disk, at most',
    { fallback: 4096, unit: 'MiB' },
  ),
  swapWaitMs: setting(
    'IP_DIFFUSION_SAMPLER_SWAP_WAIT_MS',
    count(0),
    'how long a call for the newest checkpoint waits for its weights while an older one could serve it',
    { fallback: 30_000, unit: 'ms' },
  ),
  slowReaderMinutes: setting(
    'IP_DIFFUSION_SAMPLER_SLOW_READER_MINUTES',
    count(1, 24 * 60),
    'how long a call may wait for its reader, all waits together; then its stream is closed with RESOURCE_EXHAUSTED',
    { fallback: 30, unit: 'min' },
  ),
} as const;

export const SAMPLER_SETTINGS: ServiceSettings<'sampler'> = {
  service: 'sampler',
  shared: { ...STORE_SETTINGS, ...SERVER_SETTINGS, ...ENGINE_SETTINGS, ...DEVICE_SETTINGS },
  own: { ...SAMPLER_OWN, ...DATASET_SETTINGS },
};
