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

/** The largest difference, as a share of the largest magnitude of `wanted`; NaN where both are is no difference. */
export function relativeDifference(got: Float32Array, wanted: Float32Array): number {
  if (got.length !== wanted.length) return Infinity;
  const largest = wanted.reduce(
    (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
    0,
  );
  const difference = got.reduce((most, value, i) => {
    const other = wanted[i] ?? NaN;
    return Object.is(value, other)
      ? most
      : Math.max(most, Number.isNaN(value - other) ? Infinity : Math.abs(value - other));
  }, 0);
  return difference === 0 ? 0 : difference / largest;
}
