/** One request to a child and its one answer, whatever becomes of the child or of the asker. */
import test from 'ava';

import { DiffusionError, systemClock } from '../../shared/foundation/index.js';
import { askChild, siblingModule } from '../../shared/processes/index.js';
import { ASKED, type FromAsked, type ToAsked } from './asked-protocol.js';

type What = Extract<ToAsked, { kind: 'do' }>['what'];

interface Asking {
  readonly signal?: AbortSignal;
  readonly stop?: ToAsked;
  readonly onProgress?: (message: Extract<FromAsked, { kind: 'progress' }>) => void;
}

const ask = (what: What, asking: Asking = {}) =>
  askChild({
    module: siblingModule(import.meta.url, './asked-process'),
    protocol: ASKED,
    environment: process.env,
    heartbeatTimeoutMs: 600_000,
    clock: systemClock,
    request: { kind: 'do', what },
    what: 'adding',
    ...asking,
  });

test('the answer comes after the progress', async (t) => {
  const progress: number[] = [];
  const onProgress: Asking['onProgress'] = ({ done }) => progress.push(done);
  t.deepEqual(await ask('answer', { onProgress }), { kind: 'done', sum: 3 });
  t.deepEqual(progress, [1]);
});

test("the child's error is thrown with its reason and its fields", async (t) => {
  const error = await t.throwsAsync(ask('fail'), { instanceOf: DiffusionError });
  t.is(error.code, 'INVALID_ARGUMENT');
  t.deepEqual(error.violations, [{ field: 'sum', description: 'is odd' }]);
});

test('a child that ends without an answer is an error that may be retried', async (t) => {
  const error = await t.throwsAsync(ask('end'), { instanceOf: DiffusionError });
  t.is(error.reason, 'ENGINE_LOST');
  t.is(error.message, 'adding: its process ended with exit code 3');
});

for (const [how, stop] of [
  ['killed', undefined],
  ['told to stop', { kind: 'stop' }],
] as const) {
  test(`when the signal aborts the child is ${how}, and the asker gets its reason`, async (t) => {
    const controller = new AbortController();
    const onProgress = (): void => {
      controller.abort();
    };
    const asking = { signal: controller.signal, onProgress, ...(stop !== undefined && { stop }) };
    const error = await t.throwsAsync(ask('wait', asking), { instanceOf: DiffusionError });
    if (stop === undefined) t.like(error, { code: 'CANCELLED', message: 'adding was cancelled' });
    else t.like(error, { reason: 'INTERNAL', message: 'stopped' });
  });
}

test('an asker that has aborted starts no child', async (t) => {
  const error = await t.throwsAsync(ask('answer', { signal: AbortSignal.abort() }), {
    instanceOf: DiffusionError,
  });
  t.is(error.code, 'CANCELLED');
});
