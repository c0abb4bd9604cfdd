/** The engine on XLA's CPU plugin, one a test file. */
import { join } from 'node:path';

import { cacheFolder } from '../../../shared/foundation/index.js';
import { createPjrtEngine } from '../../../shared/engine/pjrt/pjrt-engine.js';
import type { EngineModule, LoadedModule } from '../../../shared/engine/index.js';
import { CPU_PLUGIN } from './plugin-file.js';

export const pjrt =
  CPU_PLUGIN === undefined
    ? undefined
    : await createPjrtEngine({
        plugin: CPU_PLUGIN,
        // As services have it. Compiling a training step takes many times as long as running it.
        cacheFolder: join(cacheFolder(process.env), 'pjrt', 'programs'),
      });

/** What `use` gives for a module on the plugin, which holds nothing of it afterwards. */
export async function onDevice<T>(
  module: EngineModule,
  use: (loaded: LoadedModule) => Promise<T>,
): Promise<T> {
  if (pjrt === undefined) throw new Error('the plugin is absent; this test should have been skipped');
  const loaded = await pjrt.load(module);
  try {
    return await use(loaded);
  } finally {
    await loaded.dispose();
  }
}
