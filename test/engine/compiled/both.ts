/** Runs one module on the eager and on the compiled engine. */
import { createCompiledEngine, createEagerEngine } from '../../../shared/engine/index.js';
import type {
  EngineArray,
  EngineModule,
  LoadedModule,
  ModuleFunction,
} from '../../../shared/engine/index.js';

export const eager = await createEagerEngine();
export const compiled = await createCompiledEngine();

export type Arrays = Readonly<Record<string, EngineArray>>;

/** What `use` gives for a module on each engine: [eager, compiled]. */
export async function onBoth<T>(
  module: EngineModule,
  use: (loaded: LoadedModule) => Promise<T>,
): Promise<[T, T]> {
  const results: T[] = [];
  for (const engine of [eager, compiled]) {
    const loaded = await engine.load(module);
    try {
      results.push(await use(loaded));
    } finally {
      await loaded.dispose();
    }
  }
  return results as [T, T];
}

/** Runs one function without variables. */
export function callOnBoth(called: ModuleFunction, inputs: Arrays) {
  return onBoth({ variables: [], functions: { called } }, (loaded) => loaded.run('called', inputs));
}

export { relativeDifference } from './difference.js';
