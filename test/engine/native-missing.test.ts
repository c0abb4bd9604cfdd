/** Starting an engine where the native library is missing. */
import Module, { createRequire } from 'node:module';
import test from 'ava';
import { createEagerEngine } from '../../shared/engine/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';

// This process alone: its `require` of the package fails as it does before set-up.
const require = createRequire(import.meta.url);
const path = require.resolve('@tensorflow/tfjs-node-gpu');
const missing = new Module(path);
Object.defineProperty(missing, 'loaded', { value: true });
Object.defineProperty(missing, 'exports', {
  get: () => {
    throw new Error('tfjs_binding.node can not be found\nmore');
  },
});
require.cache[path] = missing;

test('a missing native library is one clear error with its remedy [fault 66]', async (t) => {
  const error = await t.throwsAsync(createEagerEngine(), { instanceOf: DiffusionError });
  t.is(error.code, 'FAILED_PRECONDITION');
  t.is(error.reason, 'ENGINE_START');
  t.is(error.metadata['remedy'], 'npm run setup');
  t.regex(error.message, /npm run setup/);
  t.false(error.message.includes('\n'));
});
