/** Golden tests of both engines: each must agree with the reference by itself. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createCompiledEngine, createEagerEngine } from '../../shared/engine/index.js';
import type { Engine } from '../../shared/engine/index.js';

const compiled = await createCompiledEngine();
const engines = [await createEagerEngine(), compiled];

/** The compiled engine with every module in bfloat16. */
export const bfloat16: Engine = {
  build: compiled.build,
  batchInvariant: compiled.batchInvariant,
  load: (module) => compiled.load({ ...module, precision: 'bfloat16' }),
};

export function testOnEngines(
  title: string,
  body: (t: ExecutionContext, engine: Engine) => Promise<void>,
): void {
  for (const engine of engines) test(`${title} (${engine.build.name})`, (t) => body(t, engine));
}
