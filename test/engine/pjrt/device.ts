/** Engines on XLA's CPU plugin: one a test file, and one for each number of devices, started when a test first asks. */
import { join } from 'node:path';

import { cacheFolder } from '../../../shared/foundation/index.js';
import { createPjrtEngine } from '../../../shared/engine/pjrt/pjrt-engine.js';
import type { PjrtEngine } from '../../../shared/engine/pjrt/pjrt-engine.js';
import type { EngineModule, LoadedModule } from '../../../shared/engine/index.js';
import { CPU_PLUGIN } from './plugin-file.js';

const started = new Map<number, Promise<PjrtEngine>>();

/** @param devices How many the plugin makes of the processor, all of which are used. */
export function pjrt(devices = 1): Promise<PjrtEngine> {
  if (CPU_PLUGIN === undefined) throw new Error('the plugin is absent; this test should have been skipped');
  const engine =
    started.get(devices) ??
    createPjrtEngine({
      ...{ plugin: CPU_PLUGIN, devices: 'all', client: { cpu_device_count: BigInt(devices) } },
      // As services have it. Compiling a training step takes many times as long as running it.
      cacheFolder: join(cacheFolder(process.env), 'pjrt', 'programs'),
    });
  started.set(devices, engine);
  return engine;
}

/** Arrays and programs on the device. */
export async function held(devices = 1): Promise<number> {
  return (await pjrt(devices)).live();
}

/** What `use` gives for a module on the plugin, which holds nothing of it afterwards. */
export async function onDevice<T>(
  module: EngineModule,
  use: (loaded: LoadedModule) => Promise<T>,
  devices = 1,
): Promise<T> {
  const loaded = await (await pjrt(devices)).load(module);
  try {
    return await use(loaded);
  } finally {
    await loaded.dispose();
  }
}
