/** Starting an engine where the native library is missing. */
import { register } from 'node:module';
import test from 'ava';
import { createEagerEngine } from '../../shared/engine/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';

// This process alone: its import of the package fails as it does before set-up.
const missing = `export async function resolve(specifier, context, next) {
  if (specifier === '@tensorflow/tfjs-node-gpu') throw new Error('tfjs_binding.node can not be found\\nmore');
  return next(specifier, context);
}`;
register(`data:text/javascript,${encodeURIComponent(missing)}`);

test('a missing native library is one clear error with its remedy', async (t) => {
  const error = await t.throwsAsync(createEagerEngine(), { instanceOf: DiffusionError });
  t.is(error.code, 'FAILED_PRECONDITION');
  t.is(error.reason, 'ENGINE_START');
  t.is(error.metadata['remedy'], 'npm run setup');
  t.regex(error.message, /npm run setup/);
  t.false(error.message.includes('\n'));
});
