import test from 'ava';

import { readSettings } from '../../services/sampler/config.js';
import { DiffusionError } from '../../shared/foundation/index.js';

test('without variables the service listens on loopback and reads the local store', (t) => {
  t.like(readSettings({}), {
    address: '127.0.0.1:50062',
    reflection: true,
    maxImages: 4096,
    maxLoadedModels: 2,
  });
  t.is(readSettings({}).store.kind, 'local');
});

test('variables are taken', (t) => {
  const settings = readSettings({
    IP_DIFFUSION_SAMPLER_ADDRESS: '127.0.0.9:1234',
    IP_DIFFUSION_SAMPLER_MAX_IMAGES: '7',
    IP_DIFFUSION_REFLECTION: 'off',
    IP_DIFFUSION_LOG_LEVEL: 'debug',
  });
  t.like(settings, { address: '127.0.0.9:1234', maxImages: 7, reflection: false, logLevel: 'debug' });
});

test('every variable that is wrong is named', (t) => {
  const wrong = {
    IP_DIFFUSION_SAMPLER_MAX_IMAGES: '0',
    IP_DIFFUSION_SAMPLER_MAX_COST: '1e99',
    IP_DIFFUSION_SAMPLER_CALLER_PERCENT: '101',
    IP_DIFFUSION_SAMPLER_MAX_MODELS: 'two',
    IP_DIFFUSION_REFLECTION: 'maybe',
    IP_DIFFUSION_LOG_LEVEL: 'loud',
  };
  const error = t.throws(() => readSettings(wrong), { instanceOf: DiffusionError });
  t.deepEqual(error.violations.map(({ field }) => field).sort(), Object.keys(wrong).sort());
});

test('an engine process sees none of the store’s keys', (t) => {
  const { environment } = readSettings({
    PATH: '/bin',
    TF_NUM_INTRAOP_THREADS: '1',
    ...{ IP_DIFFUSION_S3_ENDPOINT: 'http://localhost:9000', IP_DIFFUSION_S3_ACCESS_KEY: 'hidden' },
    IP_DIFFUSION_S3_SECRET_KEY: 'hidden',
    AWS_SECRET_ACCESS_KEY: 'hidden',
  }).engine;
  t.like(environment, { PATH: '/bin', TF_NUM_INTRAOP_THREADS: '1' });
  t.false(Object.values(environment).includes('hidden'));
});
