/** Golden tests of every engine: each must agree with the reference by itself. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { createCompiledEngine, createEagerEngine } from '../../shared/engine/index.js';
import type { Engine } from '../../shared/engine/index.js';
import { CPU_PLUGIN, TEST_ALL } from '../engine/pjrt/plugin-file.js';

// `npm run test:pjrt` runs them on the plugin alone.
const onPlugin =
  TEST_ALL && CPU_PLUGIN !== undefined ? await (await import('../engine/pjrt/device.js')).pjrt() : undefined;
const lowPrecision = onPlugin ?? (await createCompiledEngine());
const engines = onPlugin === undefined ? [await createEagerEngine(), lowPrecision] : [onPlugin];

/** An engine with every module in bfloat16. */
export const bfloat16: Engine = {
  ...lowPrecision,
  load: (module) => lowPrecision.load({ ...module, precision: 'bfloat16' }),
};

/** Reports the test of a golden file as skipped. @param why What of the file is not built. */
export function skipTest(name: string, why: string): void {
  test.skip(`${name}: ${why}`, (t) => {
    t.pass();
  });
}

export function testOnEngines(
  title: string,
  body: (t: ExecutionContext, engine: Engine) => Promise<void>,
): void {
  for (const engine of engines) test(`${title} (${engine.build.name})`, (t) => body(t, engine));
}
