/** What `doctor` and GetServerInfo say of a PJRT device, by a process that starts it. */
import anyTest from 'ava';

import { checkNativeLibrary } from '../../../services/cli/doctor/native-library.js';
import { systemClock } from '../../../shared/foundation/index.js';
import type { Environment } from '../../../shared/foundation/index.js';
import { test } from './plugin-file.js';

const found = (environment: Environment) =>
  checkNativeLibrary({ ...process.env, ...environment }, systemClock, new AbortController().signal);

test('the device, its plugin and how many there are, are said', async (t) => {
  const [finding, ...others] = await found({ IP_DIFFUSION_DEVICE: 'cpu-pjrt', IP_DIFFUSION_DEVICES: '2' });
  t.like(finding, { name: 'device', state: 'ok' });
  t.regex(finding?.text ?? '', /^pjrt 0\.\d+, .*; linux-x64-cpu 2 of .*, plugin of \d+ bytes$/);
  t.deepEqual(others, []);
});

anyTest('a device that does not start is said with what to do', async (t) => {
  const [finding] = await found({ IP_DIFFUSION_DEVICE: '/nowhere/plugin.so' });
  t.like(finding, { name: 'device', state: 'wrong' });
  t.regex(finding?.text ?? '', /nowhere\/plugin\.so did not load/);
  t.regex(finding?.remedy ?? '', /check the plugin's path.*or set IP_DIFFUSION_DEVICE=cpu/);
});
