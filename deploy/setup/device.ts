/** Provides the PJRT plugin of a device, with the libraries that it loads: wheels of the Python package index, by hash. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { deviceFolder, DEVICES, isDeviceName } from '../../shared/engine/pjrt/devices.js';
import type { Device, DeviceName } from '../../shared/engine/pjrt/devices.js';
import type { SetupContext } from './context.js';
import { requireDriver } from './driver.js';
import { SetupProblem } from './problem.js';
import { cachedFolder } from './publish.js';
import { downloadWheel, requirePip, unpackWheel } from './wheel.js';

/** Why tests that need the CPU plugin are skipped; set-up prints it. */
const PLUGIN_MISSING = "XLA's CPU plugin could not be downloaded: tests on a PJRT device are skipped";

/** Provides the CPU plugin for tests, which are skipped without it: a machine without a network can run the others. */
export async function provideTestDevice(context: SetupContext): Promise<void> {
  try {
    await provideDevice(context, 'cpu-pjrt');
  } catch (error) {
    context.signal.throwIfAborted();
    context.say(`${PLUGIN_MISSING} (${shortened((error as Error).message)})`);
  }
}

/** The path of a device's plugin in the cache, downloaded first where it is missing. @throws SetupProblem. */
export async function provideDevice(context: SetupContext, name: DeviceName): Promise<string> {
  const device: Device = DEVICES[name];
  const folder = await cachedFolder(context, deviceFolder(name), device.plugin, async (finished, scratch) => {
    requireLinux(name);
    if (device.leastDriver !== undefined) await requireDriver(context, device.leastDriver);
    await requirePip(context, `the plugin of ${name}`);
    const megabytes = device.wheels.reduce((sum, wheel) => sum + wheel.megabytes, 0);
    context.say(`downloading the plugin of ${name} (${megabytes} MB) through pip`);
    if (device.untried) context.say(`${name} is untried on a device`);
    for (const wheel of device.wheels) {
      const target = ['--platform', platformTag(wheel.wheel), '--python-version', '311'];
      const path = await downloadWheel(context, wheel, scratch, { target });
      await unpackWheel(context, path, finished, wheel.members, '10 GB');
      // The disk needn't hold all of them beside what is unpacked.
      await rm(path);
    }
  });
  return join(folder, device.plugin);
}

/** @throws SetupProblem for a name that isn't in the table. */
export function deviceOf(name: string): DeviceName {
  if (isDeviceName(name)) return name;
  throw new SetupProblem(
    `there is no device ${name}`,
    `use --device with one of ${Object.keys(DEVICES).join(', ')}`,
  );
}

/** The last line of an error that has a program's output before it. */
function shortened(message: string): string {
  return message.trim().split('\n').at(-1) ?? message;
}

/** A wheel's last tag, as `pip download --platform` takes it. */
function platformTag(wheel: string): string {
  return (
    wheel
      .replace(/\.whl$/, '')
      .split('-')
      .at(-1)
      ?.split('.')[0] ?? ''
  );
}

function requireLinux(name: DeviceName): void {
  if (process.platform === 'linux' && process.arch === 'x64') return;
  throw new SetupProblem(
    `the plugin of ${name} is for Linux on x86-64`,
    'run it there, or build a plugin and give its path by IP_DIFFUSION_DEVICE',
  );
}
