import { setImmediate } from 'node:timers/promises';

import test from 'ava';
import fc from 'fast-check';

import { generateImages, type GenerateEvent } from '../../services/sampler/generation.js';
import type { ImageSeries } from '../../services/sampler/resolve-generation.js';
import { stepBatcher, type PredictRow } from '../../services/sampler/step-batcher.js';
import { ImageAssembly } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { makeBetas } from '../../shared/noise/index.js';
import { samplerPlan, type NetworkRow } from '../../shared/sampler/index.js';

const contract = {
  betas: makeBetas({ name: 'cosine', timesteps: 50 }),
  meanType: 'epsilon',
  varianceType: 'fixed_large',
  rescaleTimesteps: false,
  channels: 1,
} as const;

function series(fields: Partial<ImageSeries> = {}, steps = 3): ImageSeries {
  return {
    count: 4,
    seed: 7n,
    firstIndex: 0,
    plan: samplerPlan({ sampler: 'ancestral', steps }, contract),
    shape: { width: 2, height: 2, channels: 1 },
    // Encoded without a thread pool, so that turns of the event loop are all there is to wait for.
    format: 'raw_float32',
    previewEverySteps: 0,
    classes: [],
    ...fields,
  };
}

/** A network that depends on every value of its row, and counts what it is asked. */
function network() {
  const asked: NetworkRow[] = [];
  const output = ({ xT, t, y }: NetworkRow): Float32Array => xT.map((value) => Math.sin(value + t + y));
  const predict: PredictRow = (row, { signal, onStart }) => {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    onStart?.();
    asked.push(row);
    return Promise.resolve(output(row));
  };
  return { asked, output, predict };
}

let nowMs = 0;
const clock = { wallMs: () => 0, monotonicMs: () => (nowMs += 5) };
const context = { window: 8, signal: new AbortController().signal, clock, calledMs: 0 };

async function collect(events: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  const all: GenerateEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

function imagesOf(events: readonly GenerateEvent[]): Map<bigint, string> {
  const images = new Map<bigint, string>();
  for (const event of events) {
    const chunk = event.$case === 'image' ? event.value.chunk : undefined;
    const bytes = chunk && new ImageAssembly().add(chunk);
    if (event.$case === 'image' && bytes) images.set(event.value.index, bytes.toString('hex'));
  }
  return new Map([...images].sort(([a], [b]) => Number(a - b)));
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await setImmediate();
}

test('every image comes once, and completed is the last message', async (t) => {
  const events = await collect(generateImages(series(), { ...context, predict: network().predict }));
  t.deepEqual([...imagesOf(events).keys()], [0n, 1n, 2n, 3n]);
  const last = events.at(-1);
  t.is(last?.$case, 'completed');
  t.is(events.filter(({ $case }) => $case === 'completed').length, 1);
  t.true(last?.$case === 'completed' && last.value.images === 4);
});

test('images depend on seed and index, not on the window, the batch or the other images', async (t) => {
  const alone = new Map<bigint, string>();
  for (let index = 0; index < 6; index++) {
    const one = generateImages(series({ count: 1, firstIndex: index }), {
      ...context,
      predict: network().predict,
    });
    for (const [key, bytes] of imagesOf(await collect(one))) alone.set(key, bytes);
  }
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 8 }),
      async (count, maxRows, window) => {
        const { output } = network();
        const predict = stepBatcher((rows) => Promise.resolve(rows.map(output)), maxRows);
        const images = imagesOf(
          await collect(generateImages(series({ count }), { ...context, predict, window })),
        );
        t.deepEqual(images, new Map([...alone].slice(0, count)));
      },
    ),
    { numRuns: 20 },
  );
});

test('another seed gives other images, and no two images are alike', async (t) => {
  const run = async (seed: bigint) =>
    imagesOf(await collect(generateImages(series({ seed }), { ...context, predict: network().predict })));
  const bytes = [...(await run(0n)).values(), ...(await run(2n ** 64n - 1n)).values()];
  t.is(new Set(bytes).size, 8);
});

test('each image has its own class', async (t) => {
  const { asked, predict } = network();
  await collect(generateImages(series({ classes: [3, 1, 4, 1] }, 1), { ...context, predict }));
  t.deepEqual(
    asked.map(({ y }) => y),
    [3, 1, 4, 1],
  );
});

test('progress rises to its totals', async (t) => {
  const events = await collect(generateImages(series(), { ...context, predict: network().predict }));
  const progress = events.flatMap((event) => (event.$case === 'progress' ? [event.value] : []));
  const done = progress.map(({ stepsDone }) => Number(stepsDone));
  t.deepEqual(
    done,
    [...done].sort((a, b) => a - b),
  );
  t.like(progress.at(-1), {
    stepsDone: 12n,
    stepsTotal: 12n,
    imagesDone: 4,
    imagesTotal: 4,
    eta: { seconds: 0n, nanos: 0 },
  });
});

test('while nothing is read, no more images than the window are begun', async (t) => {
  const { asked, predict } = network();
  const events = generateImages(series({ count: 30 }), { ...context, predict, window: 5 });
  await events.next();
  await settle();
  t.is(asked.length, 5 * 3);
  await collect(events);
  t.is(asked.length, 30 * 3);
});

test('a slow reader gets the newest preview of an image, and none of an image that is finished', async (t) => {
  const answers: (() => void)[] = [];
  const { output } = network();
  const predict: PredictRow = (row) =>
    new Promise((resolve) =>
      answers.push(() => {
        resolve(output(row));
      }),
    );
  const step = async (): Promise<void> => {
    answers.shift()?.();
    await settle();
  };
  const events = generateImages(series({ count: 1, previewEverySteps: 1 }, 5), { ...context, predict });
  const first = events.next();
  await settle();
  await step();
  await step();
  await step();
  await first;
  const preview = await events.next();
  t.true(preview.value?.$case === 'preview' && preview.value.value.step === 3);
  const rest = collect(events);
  await step();
  await step();
  const kinds = (await rest).map((event) =>
    event.$case === 'preview' ? `preview ${event.value.step}` : event.$case,
  );
  t.deepEqual(
    kinds.filter((kind) => kind !== 'progress'),
    ['preview 4', 'image', 'completed'],
  );
});

test('leaving early stops all work', async (t) => {
  const { asked, predict } = network();
  let unanswered = 0;
  const slow: PredictRow = async (row, options) => {
    unanswered += 1;
    await setImmediate();
    unanswered -= 1;
    return predict(row, options);
  };
  const events = generateImages(series({ count: 20 }, 50), { ...context, predict: slow });
  await events.next();
  await events.return();
  const askedThen = asked.length;
  t.is(unanswered, 0);
  await settle();
  t.is(asked.length, askedThen);
});

test('an aborted call ends with the reason of its signal', async (t) => {
  const call = new AbortController();
  const { output } = network();
  const predict = stepBatcher((rows) => Promise.resolve(rows.map(output)), 4);
  const events = generateImages(series({}, 50), { ...context, signal: call.signal, predict });
  await events.next();
  call.abort(new DiffusionError('UNAVAILABLE', 'the service is stopping'));
  await t.throwsAsync(collect(events), { message: 'the service is stopping' });
});

test('a network that fails ends the call with its error', async (t) => {
  const predict: PredictRow = () => Promise.reject(new DiffusionError('UNAVAILABLE', 'no engine'));
  await t.throwsAsync(collect(generateImages(series(), { ...context, predict })), { message: 'no engine' });
});
