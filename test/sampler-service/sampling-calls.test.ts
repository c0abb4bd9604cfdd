/** Whole calls without a network and a wire: what they hold while they run, and that nothing of it is left afterwards. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';

import { admission } from '../../services/sampler/admission.js';
import type { AdmissionLimits } from '../../services/sampler/admission-limits.js';
import { readSettings } from '../../services/sampler/config.js';
import type { LoadedModels } from '../../services/sampler/loaded-models.js';
import { modelCatalogue } from '../../services/sampler/model-catalogue.js';
import { runningCalls } from '../../services/sampler/running-calls.js';
import { samplingMethods } from '../../services/sampler/sampling-methods.js';
import { stepBatcher } from '../../services/sampler/step-batcher.js';
import { ImageAssembly, samplerWire, samplingWire } from '../../shared/contract/index.js';
import { DiffusionError, systemClock, unlessAborted } from '../../shared/foundation/index.js';
import type { PictureDecoder } from '../../shared/images/index.js';
import type { NetworkRow } from '../../shared/sampler/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { NO_SPAN } from '../../shared/tracing/index.js';
import { generateRequest, type Asked } from './sampler-fixture.js';
import { commitTiny } from './tiny-model.js';

const ROWS = 8;
const steps = (value: number) => ({
  ...samplingWire.SamplerSettings.create(),
  timesteps: { $case: 'steps' as const, value },
});
const cancelled = new DiffusionError('CANCELLED', 'the client cancelled the call');

async function sampler(t: ExecutionContext, limits: Partial<AdmissionLimits> = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'sampling-calls-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const store = await openLocalStore({ folder });
  await commitTiny(store, { step: 1 });
  const passes: number[] = [];
  const predict = stepBatcher(
    async (rows: readonly NetworkRow[]) => {
      passes.push(rows.length);
      await setImmediate();
      // Of both halves: the mean, and how the variance is learned.
      return rows.map(({ xT, t: timestep }) =>
        Float32Array.from([...xT, ...xT], (x) => Math.sin(x + timestep)),
      );
    },
    [ROWS],
  );
  let leases = 0;
  const models = {
    acquire: () => {
      leases += 1;
      return Promise.resolve({ predict, release: () => (leases -= 1) });
    },
    steps: () => [],
  } as unknown as LoadedModels;
  let decoding = 0;
  const decoder: PictureDecoder = {
    // Until it is cancelled.
    decode: async (_bytes, _options, signal) => {
      decoding += 1;
      try {
        return await unlessAborted(new Promise<never>(() => undefined), signal);
      } finally {
        decoding -= 1;
      }
    },
    close: () => Promise.resolve(),
  };
  const gate = admission({ ...readSettings({}).admission, ...limits }, systemClock);
  const { generate } = samplingMethods({
    catalogue: modelCatalogue(store, () => undefined),
    ...{ models, decoder, admission: gate, clock: systemClock, calls: runningCalls() },
    ...{ maxImages: 100, window: 16, swapWaitMs: 10_000, tokenKey: () => Promise.resolve(Buffer.alloc(32)) },
  });
  const call = (asked: Asked) => {
    const client = new AbortController();
    const stream = generate(generateRequest({ settings: steps(5), ...asked }), {
      caller: 'somebody',
      identity: undefined,
      requestId: 'test',
      span: NO_SPAN,
      timeLeftMs: Infinity,
      signal: client.signal,
    });
    return { client, stream };
  };
  return {
    store,
    call,
    passes,
    images: async (asked: Asked): Promise<string[]> => imagesOf(call(asked).stream),
    /** All that calls hold. */
    held: () => ({ ...gate.held, leases, decoding }),
  };
}

const NOTHING = { calls: 0, cost: 0, bytes: 0, waiting: 0, requestBytes: 0, leases: 0, decoding: 0 };

/** Bytes by index. */
async function imagesOf(stream: AsyncIterable<samplerWire.GenerateResponse>): Promise<string[]> {
  const images: string[] = [];
  for await (const { event } of stream) {
    const chunk = event?.$case === 'image' ? event.value.chunk : undefined;
    const bytes = chunk && new ImageAssembly().add(chunk);
    if (event?.$case === 'image' && bytes) images[event.value.index] = bytes.toString('hex');
  }
  return images;
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate();
}

for (const [name, reason] of [
  ['a call that is cancelled', cancelled],
  [
    'a call whose deadline passes',
    new DiffusionError('DEADLINE_EXCEEDED', 'the deadline of the call passed'),
  ],
] as const)
  test(`${name} in the middle stops within one step, and nothing of it is held any more [fault 20, 21]`, async (t) => {
    const { call, passes, held } = await sampler(t);
    const { client, stream } = call({ count: 50, settings: steps(60) });
    while (passes.length < 10) await stream.next();
    t.like(held(), { calls: 1, leases: 1 });
    client.abort(reason);
    const error = await t.throwsAsync(imagesOf(stream), { instanceOf: DiffusionError });
    t.is(error.code, reason.code);
    const then = passes.length;
    await settle();
    t.is(passes.length, then);
    t.deepEqual(held(), NOTHING);
  });

test('a reader that leaves while its call waits takes it out of the queue', async (t) => {
  const { call, held } = await sampler(t, { calls: 2, callerShare: 0.5 });
  const first = call({ count: 50, settings: steps(60) });
  await first.stream.next();
  const second = call({ count: 1 });
  const queued = await second.stream.next();
  t.like(queued.value, { event: { $case: 'queued', value: { position: 1 } } });
  await second.stream.return();
  t.is(held().waiting, 0);
  await first.stream.return();
  t.deepEqual(held(), NOTHING);
});

test('a bad request among others fails alone, and the others get the bytes that they get alone [fault 98]', async (t) => {
  const { images, held } = await sampler(t);
  const asked = [{ count: 3 }, { count: 5, seed: 9n }, { count: 2, settings: steps(9) }];
  const alone = [];
  for (const each of asked) alone.push(await images(each));
  const bad = t.throwsAsync(images({ count: 2, settings: steps(61) }), { instanceOf: DiffusionError });
  t.deepEqual(await Promise.all(asked.map(images)), alone);
  t.is((await bad).code, 'INVALID_ARGUMENT');
  t.deepEqual(held(), NOTHING);
});

test('where one call of a batch is cancelled, the others end with their own images [fault 99]', async (t) => {
  const { call, images, passes } = await sampler(t);
  const alone = await images({ count: 4, settings: steps(20) });
  const gone = call({ count: 4, seed: 3n, settings: steps(20) });
  const before = passes.length;
  const stays = images({ count: 4, settings: steps(20) });
  while (passes.length < before + 5) await gone.stream.next();
  gone.client.abort(cancelled);
  await t.throwsAsync(imagesOf(gone.stream));
  t.deepEqual(await stays, alone);
  t.is(alone.length, 4);
});

test('a call that waited is served by the checkpoint that is the newest when it begins', async (t) => {
  const { store, call, held } = await sampler(t, { calls: 1 });
  const first = call({ count: 50, settings: steps(60) });
  await first.stream.next();
  const second = call({ count: 1 });
  await second.stream.next();
  await commitTiny(store, { step: 2 });
  await first.stream.return();
  let step: number | undefined;
  for await (const { event } of second.stream)
    if (event?.$case === 'accepted') step = event.value.checkpoint?.step;
  t.is(step, 2);
  t.deepEqual(held(), NOTHING);
});

test('pictures are decoded when the call has a place, not before, and no longer than the call lasts [fault A15]', async (t) => {
  const { call, held } = await sampler(t, { calls: 2, callerShare: 0.5 });
  const first = call({ count: 50, settings: steps(60) });
  await first.stream.next();
  const images = Array.from({ length: 6 }, () => Buffer.from('a picture'));
  const second = call({ count: 6, start: { $case: 'startImages', value: { images, skippedSteps: 1 } } });
  await second.stream.next();
  const whole = imagesOf(second.stream);
  await settle();
  t.like(held(), { waiting: 1, decoding: 0, requestBytes: 6 * 9 });
  await first.stream.return();
  while (held().decoding === 0) await setImmediate();
  await settle();
  t.like(held(), { waiting: 0, calls: 1, decoding: 2 });
  second.client.abort(cancelled);
  await t.throwsAsync(whole, { message: cancelled.message });
  t.deepEqual(held(), NOTHING);
});
