/** Which device an engine computes on where none is named. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import test from 'ava';

import { createEngine, deviceFor } from '../../shared/engine/index.js';
import { deviceFolder, DEVICES, firstDevice } from '../../shared/engine/pjrt/devices.js';
import { deviceSettings, DiffusionError } from '../../shared/foundation/index.js';

test('it is the first whose plugin was provided and that the machine has, else the processor', async (t) => {
  const downloads = await mkdtemp(join(tmpdir(), 'first-device-'));
  t.teardown(() => rm(downloads, { recursive: true }));
  const sign = join(downloads, 'card');
  const cards = { cuda: { ...DEVICES.cuda, sign }, 'cpu-pjrt': DEVICES['cpu-pjrt'] };
  const first = (): string => firstDevice(downloads, cards);
  t.is(first(), 'cpu');
  await writeFile(sign, '');
  t.is(first(), 'cpu');
  for (const name of ['cuda', 'cpu-pjrt'] as const) {
    const plugin = join(downloads, deviceFolder(name), DEVICES[name].plugin);
    await mkdir(dirname(plugin), { recursive: true });
    await writeFile(plugin, '');
  }
  t.is(first(), 'cuda');
  await rm(sign);
  // The processor by XLA has no sign: it is used only where it is named.
  t.is(first(), 'cpu');
});

test('a device that is named is taken as it is', (t) => {
  for (const device of ['cpu', 'cuda', '/opt/plugin.so'])
    t.is(deviceFor({ device, downloadsFolder: '/nowhere' }), device);
});

test('several devices on a machine without one are refused with what to do', async (t) => {
  const settings = deviceSettings({
    ...{ IP_DIFFUSION_CACHE: '/nowhere', IP_DIFFUSION_DOWNLOADS: '/nowhere', IP_DIFFUSION_DEVICES: '4' },
  });
  const error = await t.throwsAsync(createEngine(settings), {
    ...{ instanceOf: DiffusionError, code: 'FAILED_PRECONDITION' },
  });
  t.regex(
    error.message,
    /wanted 4 devices; got the processor alone.*DEVICES=1.*npm run setup -- --device cuda/,
  );
});
