import { setImmediate } from 'node:timers/promises';

import test from 'ava';
import fc from 'fast-check';

import type { GenerateEvent } from '../../services/sampler/generate-events.js';
import { generateImages } from '../../services/sampler/generation.js';
import type { ImageSeries } from '../../services/sampler/resolve-generation.js';
import { stepBatcher, type PredictRow } from '../../services/sampler/step-batcher.js';
import { readResumeToken } from '../../services/sampler/resume-token.js';
import { ImageAssembly } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { makeBetas, trainingProcess } from '../../shared/noise/index.js';
import { imageNoise, samplerPlan, type NetworkRow, type SolverOptions } from '../../shared/sampler/index.js';
import { ownerOf } from './owners.js';

const contract = {
  ...trainingProcess(makeBetas({ name: 'cosine', timesteps: 50 })),
  meanType: 'epsilon',
  varianceType: 'fixed_large',
  channels: 1,
} as const;

interface Asked {
  readonly count?: number;
  readonly seed?: bigint;
  readonly firstIndex?: number;
  readonly steps?: number;
  readonly classes?: readonly number[];
  readonly reports?: Partial<ImageSeries['reports']>;
  /** What a task has besides. */
  readonly options?: (index: number) => Partial<SolverOptions>;
}

const resumable = { requestSha256: 'def', checkpointStep: 5, weights: 0.99, weightsSha256: 'abc' } as const;

function series(asked: Asked = {}): ImageSeries {
  const { count = 4, seed = 7n, firstIndex = 0, steps = 3, classes = [], reports, options } = asked;
  return {
    task: 'generate',
    count,
    seed,
    plan: samplerPlan({ sampler: 'ancestral', steps }, contract),
    shape: { width: 2, height: 2, channels: 1 },
    // Encoded without a thread pool, so that turns of the event loop are all there is to wait for.
    format: 'raw_float32',
    reports: { previewEverySteps: 0, trajectoryEverySteps: 0, resumeTokenEverySteps: 0, ...reports },
    stepsTotal: count * steps,
    evaluations: count * steps,
    resumable,
    taskAt: (offset) => {
      const index = firstIndex + offset;
      const y = classes[offset];
      const noise = imageNoise(seed, index, 4);
      return { index, options: { noise, ...(y !== undefined && { y }), ...options?.(index) } };
    },
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
const context = {
  onStep: () => undefined,
  owner: ownerOf(),
  window: 8,
  signal: new AbortController().signal,
  clock,
  tokenKey: Buffer.alloc(32, 7),
  calledMs: 0,
};

async function collect(events: AsyncIterable<GenerateEvent>): Promise<GenerateEvent[]> {
  const all: GenerateEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
}

function imagesOf(events: readonly GenerateEvent[]): Map<number, string> {
  const images = new Map<number, string>();
  for (const event of events) {
    const chunk = event.$case === 'image' ? event.value.chunk : undefined;
    const bytes = chunk && new ImageAssembly().add(chunk);
    if (event.$case === 'image' && bytes) images.set(event.value.index, bytes.toString('hex'));
  }
  return new Map([...images].sort(([a], [b]) => a - b));
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await setImmediate();
}

test('every image comes once, and completed is the last message', async (t) => {
  const events = await collect(generateImages(series(), { ...context, predict: network().predict }));
  t.deepEqual([...imagesOf(events).keys()], [0, 1, 2, 3]);
  const last = events.at(-1);
  t.is(last?.$case, 'completed');
  t.is(events.filter(({ $case }) => $case === 'completed').length, 1);
  t.true(last?.$case === 'completed' && last.value.images === 4);
});

test('images depend on seed and index, not on the window, the batch or the other images', async (t) => {
  const alone = new Map<number, string>();
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
        const predict = stepBatcher((rows) => Promise.resolve(rows.map(output)), [maxRows]);
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
  await collect(generateImages(series({ classes: [3, 1, 4, 1], steps: 1 }), { ...context, predict }));
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
    remaining: { seconds: 0n, nanos: 0 },
  });
});

test('while nothing is read, no more images than the window are started', async (t) => {
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
  const events = generateImages(series({ count: 1, steps: 5, reports: { previewEverySteps: 1 } }), {
    ...context,
    predict,
  });
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

test('a reader that stops reading ends all work', async (t) => {
  const { asked, predict } = network();
  let unanswered = 0;
  const slow: PredictRow = async (row, options) => {
    unanswered += 1;
    await setImmediate();
    unanswered -= 1;
    return predict(row, options);
  };
  const events = generateImages(series({ count: 20, steps: 50 }), { ...context, predict: slow });
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
  const predict = stepBatcher((rows) => Promise.resolve(rows.map(output)), [4]);
  const events = generateImages(series({ steps: 50 }), { ...context, signal: call.signal, predict });
  await events.next();
  call.abort(new DiffusionError('ENGINE_LOST', 'the service is stopping'));
  await t.throwsAsync(collect(events), { message: 'the service is stopping' });
});

test('a service that stops sends what resumes each unfinished image, asked for or not', async (t) => {
  const call = new AbortController();
  const { output } = network();
  const predict = stepBatcher((rows) => Promise.resolve(rows.map(output)), [4]);
  const events = generateImages(series({ count: 3, steps: 50 }), {
    ...context,
    signal: call.signal,
    predict,
  });
  const tokens: [number, number][] = [];
  const stopping = new DiffusionError('SERVICE_STOPPING', 'the service is stopping');
  const all = (async () => {
    for await (const event of events) {
      if (event.$case === 'progress' && event.value.stepsDone > 0n) call.abort(stopping);
      if (event.$case === 'resumeToken') tokens.push([event.value.index, event.value.step]);
    }
  })();
  await t.throwsAsync(all, { is: stopping });
  t.deepEqual(tokens.map(([index]) => index).sort(), [0, 1, 2]);
  for (const [, step] of tokens) t.true(step > 0 && step < 50);
});

test('a network that fails ends the call with its error', async (t) => {
  const predict: PredictRow = () => Promise.reject(new DiffusionError('ENGINE_LOST', 'no engine'));
  await t.throwsAsync(collect(generateImages(series(), { ...context, predict })), { message: 'no engine' });
});

test('a trajectory has every step, however slow its reader, and makes images wait for it', async (t) => {
  const { asked, predict } = network();
  const reports = { trajectoryEverySteps: 1 };
  const events = generateImages(series({ count: 3, steps: 50, reports }), { ...context, predict });
  await events.next();
  await settle();
  t.true(asked.length < 3 * 50);
  const rest = await collect(events);
  for (const image of [0, 1, 2]) {
    const steps = rest.flatMap((event) =>
      event.$case === 'trajectoryStep' && event.value.index === image ? [event.value.step] : [],
    );
    t.deepEqual(
      steps,
      Array.from({ length: 50 }, (_, i) => i + 1),
    );
  }
});

test('the last step of a trajectory is the image', async (t) => {
  const reports = { trajectoryEverySteps: 2 };
  const events = await collect(
    generateImages(series({ count: 1, reports }), { ...context, predict: network().predict }),
  );
  const [last] = events.flatMap((event) =>
    event.$case === 'trajectoryStep' && event.value.step === 3
      ? [event.value.chunk?.data.toString('hex')]
      : [],
  );
  t.is(last, [...imagesOf(events).values()][0]);
});

test('an image that is resumed from a token equals an uninterrupted one', async (t) => {
  const reports = { resumeTokenEverySteps: 2 };
  const quick = network().predict;
  // The reader keeps up, so that it gets tokens before the image.
  const predict: PredictRow = async (row, options) => {
    await settle();
    return quick(row, options);
  };
  const whole = await collect(
    generateImages(series({ count: 1, steps: 7, reports }), { ...context, predict }),
  );
  const tokens = whole.flatMap((event) => (event.$case === 'resumeToken' ? [event.value] : []));
  t.deepEqual(
    tokens.map(({ step }) => step),
    [2, 4, 6],
  );
  for (const { token, step } of tokens) {
    const { state, ...read } = readResumeToken(token, 'token', context.tokenKey);
    t.is(state.stepsDone, step);
    t.deepEqual(read, { ...resumable, index: 0 });
    const resumed = series({ count: 1, steps: 7, options: () => ({ resume: state }) });
    const second = network();
    const events = await collect(generateImages(resumed, { ...context, predict: second.predict }));
    t.deepEqual(imagesOf(events), imagesOf(whole));
    t.is(second.asked.length, 7 - step);
  }
});
