/** `info`: what a service says of itself, for people and for programs. */

import test from 'ava';

import { fakeTrainer } from './fake-trainer.js';
import { run } from './sinks.js';

test('a service says its version, engine and limits', async (t) => {
  const { address } = await fakeTrainer(t);
  const shown = await run(['info', 'trainer', '--address', address]);
  t.is(shown.exitCode, 0);
  t.regex(shown.out, /version +1\.2\.3/);
  t.regex(shown.out, /engine +ready, tensorflow 2\.21\.0/);
  t.regex(shown.out, /authentication +none/);
  t.regex(shown.out, /max_images +7/);
  const { out } = await run(['info', 'trainer', '--address', address, '--json']);
  t.like(JSON.parse(out) as unknown, { version: '1.2.3', ready: true, limits: [{ name: 'max_images' }] });
});
