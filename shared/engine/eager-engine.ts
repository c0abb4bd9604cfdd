/** Where a process gets its engine. */
import { loadEagerly } from './eager.js';
import type { Engine } from './module.js';
import { loadNative } from './native.js';

/**
 * Starts the engine of this process; the native library is loaded here, not by importing the room.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) when the native library is missing.
 */
export async function createEagerEngine(): Promise<Engine> {
  const native = await loadNative();
  return {
    build: { name: 'eager', ...native },
    batchInvariant: false,
    load: loadEagerly,
  };
}
