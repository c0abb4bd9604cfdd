/** Where a process gets its engine: on the device that its settings name. */
import { join } from 'node:path';

import { DiffusionError, type DeviceSettings } from '../foundation/index.js';
import { createCompiledEngine } from './compiled/index.js';
import type { Engine } from './module.js';
import { firstDevice, pluginFile } from './pjrt/devices.js';
import type { ClientOptions } from './pjrt/structs.js';

/** The device that settings name; for `auto`, the one that this machine has. */
export function deviceFor({
  device,
  downloadsFolder,
}: Pick<DeviceSettings, 'device' | 'downloadsFolder'>): string {
  return device === 'auto' ? firstDevice(downloadsFolder) : device;
}

/**
 * The engine of this process, on the device of its settings.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) where library, plugin or device can't be used.
 */
export async function createEngine(settings: DeviceSettings): Promise<Engine> {
  const { devices, tf32, downloadsFolder, cacheFolder } = settings;
  const device = deviceFor(settings);
  const plugin = pluginFile(device, downloadsFolder);
  if (plugin === undefined) {
    if (devices !== 1) throw noSuchDevices(devices);
    return createCompiledEngine();
  }
  // Only here, so that a process on the CPU doesn't load what it has no use for.
  const { createPjrtEngine } = await import('./pjrt/pjrt-engine.js');
  return createPjrtEngine({
    ...{ plugin, devices, tf32, cacheFolder: join(cacheFolder, 'pjrt', 'programs') },
    client: clientOptions({ ...settings, device }),
  });
}

function noSuchDevices(devices: number | 'all'): DiffusionError {
  return new DiffusionError(
    'ENGINE_START',
    `wanted ${devices} devices; got the processor alone, since no card is set up on this machine: ` +
      'set IP_DIFFUSION_DEVICES=1, or, where a card is, run npm run setup -- --device cuda',
  );
}

type Started = Pick<DeviceSettings, 'device' | 'devices' | 'memoryPercent'>;

/**
 * What a device's plugin is started with.
 * Source: openxla/xla xla/pjrt/c/pjrt_c_api_gpu_internal.cc and pjrt_c_api_cpu_internal.cc, PJRT_Client_Create.
 */
export function clientOptions({ device, devices, memoryPercent }: Started): ClientOptions {
  const limit = memoryPercent === undefined ? {} : { memory_fraction: memoryPercent / 100 };
  switch (device) {
    case 'cuda':
    case 'rocm':
      return {
        ...limit,
        // Several processes share a card: none takes memory before it needs it.
        preallocate: false,
        // The plugin would start every card of the machine.
        ...(devices !== 'all' && { visible_devices: Array.from({ length: devices }, (_, i) => BigInt(i)) }),
      };
    case 'cpu-pjrt':
      // Its memory is the machine's, and has no limit of its own.
      return devices === 'all' ? {} : { cpu_device_count: BigInt(devices) };
    default:
      return limit;
  }
}
