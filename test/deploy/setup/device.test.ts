/** Set-up of devices: NVIDIA's driver, and tests without the CPU plugin. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { standaloneContext } from '../../../deploy/setup/context.js';
import { deviceOf, provideTestDevice } from '../../../deploy/setup/device.js';
import { requireDriver } from '../../../deploy/setup/driver.js';
import { SetupProblem } from '../../../deploy/setup/problem.js';

const folder = mkdtempSync(join(tmpdir(), 'device-'));

/** What is said where the driver's file has this text. */
async function checked(text: string): Promise<string[]> {
  const file = join(mkdtempSync(join(folder, 'driver-')), 'version');
  writeFileSync(file, text);
  const said: string[] = [];
  await requireDriver({ say: (line) => said.push(line) }, 580, [join(folder, 'absent'), file]);
  return said;
}

test('a driver that is too old is refused by its version, before anything is downloaded', async (t) => {
  for (const text of [
    '570.133.20\n',
    'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build\nGCC version: 13.3.0',
  ]) {
    const error = await t.throwsAsync(checked(text), { instanceOf: SetupProblem });
    t.regex(error.message, /driver is 570\.133\.20; the plugin needs 580 or newer/);
  }
  t.deepEqual(await checked('580.65.06\n'), []);
  t.deepEqual(await checked('NVRM version: NVIDIA UNIX x86_64 Kernel Module  610.10  Thu'), []);
});

test('where no driver is loaded, that is said: an image may be built there', async (t) => {
  t.regex((await checked('')).join(), /no NVIDIA driver is loaded on this machine.*580 or newer/);
});

test('a name that is no device is refused with those that are', (t) => {
  t.is(deviceOf('cuda'), 'cuda');
  const error = t.throws(() => deviceOf('gpu'), { instanceOf: SetupProblem });
  t.regex(error.remedy, /cpu-pjrt, cuda/);
});

test.serial('tests without the CPU plugin are skipped, and set-up says why', async (t) => {
  const said: string[] = [];
  const context = standaloneContext((line) => said.push(line));
  const path = process.env['PATH'];
  // So there is no Python.
  process.env['PATH'] = folder;
  try {
    await provideTestDevice({ ...context, cache: join(folder, 'cache') });
  } finally {
    process.env['PATH'] = path;
  }
  t.regex(said.join('\n'), /CPU plugin could not be downloaded: tests on a PJRT device are skipped \(.*pip/);
});
