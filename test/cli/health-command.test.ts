/** `health`: what it asks, and its exit code. */

import test from 'ava';

import { fakeTrainer } from './fake-trainer.js';
import { run } from './sinks.js';

test('a service that is ready gives 0, and one that is not there gives 1', async (t) => {
  const { address } = await fakeTrainer(t);
  for (const kind of ['--ready', '--live']) {
    const { out, exitCode } = await run(['health', '--service', 'trainer', '--address', address, kind]);
    t.is(exitCode, 0);
    t.regex(out, /trainer at .*: SERVING/);
  }
  const absent = await run(['health', '--service', 'sampler', '--address', '127.0.0.1:1', '--json']);
  t.is(absent.exitCode, 1);
  t.like(JSON.parse(absent.out) as unknown, { service: 'sampler', kind: 'ready', status: 'UNAVAILABLE' });
});

test('what excludes each other is refused', async (t) => {
  t.is((await run(['health', '--ready', '--live'])).exitCode, 2);
  t.is((await run(['health', '--address', '127.0.0.1:1'])).exitCode, 2);
});
