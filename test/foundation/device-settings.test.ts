/** Which device engine processes compute on. */
import test from 'ava';

import { DiffusionError, deviceSettings, engineEnvironment } from '../../shared/foundation/index.js';

const IP_DIFFUSION_CACHE = '/cache';

test('without settings it is what the machine has, and all that is wrong is named', (t) => {
  t.like(deviceSettings({ IP_DIFFUSION_CACHE }), {
    ...{ device: 'auto', devices: 1, memoryPercent: undefined, tf32: false, cacheFolder: '/cache' },
  });
  t.like(
    deviceSettings({
      ...{ IP_DIFFUSION_CACHE, IP_DIFFUSION_DEVICE: '/opt/plugin.so', IP_DIFFUSION_TF32: 'on' },
      ...{ IP_DIFFUSION_DEVICE_MEMORY_PERCENT: '40', IP_DIFFUSION_DEVICES: '4' },
    }),
    { device: '/opt/plugin.so', devices: 4, memoryPercent: 40, tf32: true },
  );
  t.is(deviceSettings({ IP_DIFFUSION_DEVICE: 'cuda', IP_DIFFUSION_DEVICES: 'all' }).devices, 'all');
  const error = t.throws(
    () =>
      deviceSettings({
        ...{ IP_DIFFUSION_DEVICE: 'gpu0', IP_DIFFUSION_TF32: 'yes' },
        ...{ IP_DIFFUSION_DEVICE_MEMORY_PERCENT: '0', IP_DIFFUSION_DEVICES: '65' },
      }),
    { instanceOf: DiffusionError },
  );
  t.deepEqual(error.violations.map(({ field }) => field).sort(), [
    'IP_DIFFUSION_DEVICE',
    'IP_DIFFUSION_DEVICES',
    'IP_DIFFUSION_DEVICE_MEMORY_PERCENT',
    'IP_DIFFUSION_TF32',
  ]);
  t.regex(error.message, /auto, cpu, cpu-pjrt, cuda, rocm, tpu, or the path of a PJRT plugin/);
  const onProcessor = t.throws(() =>
    deviceSettings({ IP_DIFFUSION_DEVICE: 'cpu', IP_DIFFUSION_DEVICES: 'all' }),
  );
  t.regex(onProcessor.message, /IP_DIFFUSION_DEVICES.*wanted 1 with IP_DIFFUSION_DEVICE=cpu/);
});

test('engine processes see them, and where plugins are kept', (t) => {
  const env = {
    ...{ IP_DIFFUSION_CACHE, IP_DIFFUSION_DEVICE: 'cuda', IP_DIFFUSION_TF32: 'on', PJRT_NPROC: '2' },
    ...{ IP_DIFFUSION_DEVICE_MEMORY_PERCENT: '40', IP_DIFFUSION_DEVICES: '2' },
  };
  t.like(engineEnvironment({ ...env, IP_DIFFUSION_DEVICE_OTHER: 'x' }), env);
  t.false('IP_DIFFUSION_DEVICE_OTHER' in engineEnvironment({ IP_DIFFUSION_DEVICE_OTHER: 'x' }));
});
