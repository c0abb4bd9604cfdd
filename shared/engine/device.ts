/** Where a process gets its engine: on the device that its settings name. */
import { join } from 'node:path';

import type { DeviceSettings } from '../foundation/index.js';
import { createCompiledEngine } from './compiled/index.js';
import type { Engine } from './module.js';
import { pluginFile } from './pjrt/devices.js';

/**
 * The engine of this process, on the device of its settings.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) where library, plugin or device can't be used.
 */
export async function createEngine(settings: DeviceSettings): Promise<Engine> {
  const { device, memoryPercent, tf32, downloadsFolder, cacheFolder } = settings;
  const plugin = pluginFile(device, downloadsFolder);
  if (plugin === undefined) return createCompiledEngine();
  // Only here, so that a process on the CPU doesn't load what it has no use for.
  const { createPjrtEngine } = await import('./pjrt/pjrt-engine.js');
  return createPjrtEngine({
    ...{ plugin, tf32, cacheFolder: join(cacheFolder, 'pjrt', 'programs') },
    client: {
      // Several processes share a card: none takes memory before it needs it.
      ...(device === 'cuda' && { preallocate: false }),
      ...(memoryPercent !== undefined && { memory_fraction: memoryPercent / 100 }),
    },
  });
}
