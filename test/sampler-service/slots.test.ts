/** Calls whose images stay in slots of an engine. */
import test from 'ava';

import { generateImages } from '../../services/sampler/generation.js';
import type { GenerateEvent } from '../../services/sampler/generate-events.js';
import { loadModel, type LoadedModel } from '../../services/sampler/loaded-model.js';
import { passGates } from '../../services/sampler/pass-gate.js';
import type { ImageSeries } from '../../services/sampler/resolve-generation.js';
import { readResumeToken } from '../../services/sampler/resume-token.js';
import { ImageAssembly } from '../../shared/contract/index.js';
import { at, DiffusionError, systemClock } from '../../shared/foundation/index.js';
import { makeBetas, trainingProcess } from '../../shared/noise/index.js';
import { drain, imageNoise, samplerPlan, solver } from '../../shared/sampler/index.js';
import type { NetworkRow, SamplerSettings, SolverOptions } from '../../shared/sampler/index.js';
import { ownerOf } from './owners.js';
import { toySlotEngine, type ToySlotEngine } from './toy-slot-engine.js';

const contract = {
  ...trainingProcess(makeBetas({ name: 'cosine', timesteps: 50 })),
  meanType: 'epsilon',
  varianceType: 'fixed_large',
  channels: 1,
} as const;

const network = ({ xT, t }: NetworkRow): Float32Array =>
  xT.map((value) => Math.tanh(value) * (0.9 - 0.01 * t));
const tokenKey = Buffer.alloc(32, 7);

interface Asked {
  readonly count?: number;
  readonly firstIndex?: number;
  readonly settings?: Partial<SamplerSettings>;
  readonly reports?: Partial<ImageSeries['reports']>;
  readonly options?: Partial<SolverOptions>;
}

function series({ count = 1, firstIndex = 0, settings, reports, options }: Asked = {}): ImageSeries {
  const plan = samplerPlan({ sampler: 'ancestral', steps: 12, ...settings }, contract);
  return {
    ...{ task: 'generate', count, seed: 7n, plan, format: 'raw_float32' },
    shape: { width: 2, height: 2, channels: 1 },
    reports: { previewEverySteps: 0, trajectoryEverySteps: 0, resumeTokenEverySteps: 0, ...reports },
    stepsTotal: count * plan.steps,
    evaluations: count * plan.evaluations,
    resumable: { requestSha256: 'def', checkpointStep: 5, weights: 0.99, weightsSha256: 'abc' },
    taskAt: (offset) => {
      const index = firstIndex + offset;
      return { index, options: { noise: imageNoise(7n, index, 4), ...options } };
    },
  };
}

async function modelOf(...engines: ToySlotEngine[]): Promise<LoadedModel> {
  const next = [...engines];
  return loadModel({
    start: () => Promise.resolve(next.shift() ?? at(engines, engines.length - 1)),
    gates: passGates(systemClock),
    clock: systemClock,
  });
}

/** Kept, sampled and blended pixels. */
const inpaint = { image: Float32Array.of(0.9, -0.8, 0.2, 0), mask: Float32Array.of(0, 1, 0.5, 1) };

const SIZES = { slots: 6, size: 4 };

interface CallOptions {
  readonly signal?: AbortSignal;
  readonly onStep?: () => void;
}

function call({ predict, slots }: LoadedModel, images: ImageSeries, { signal, onStep }: CallOptions = {}) {
  return generateImages(images, {
    ...{ predict, slots, owner: ownerOf(), window: 8, clock: systemClock, tokenKey, calledMs: 0 },
    signal: signal ?? new AbortController().signal,
    onStep: onStep ?? (() => undefined),
  });
}

async function imagesOf(events: AsyncIterable<GenerateEvent>): Promise<Map<number, Buffer>> {
  const images = new Map<number, Buffer>();
  for await (const event of events) {
    if (event.$case !== 'image') continue;
    const { index, chunk } = event.value;
    const whole = chunk && new ImageAssembly().add(chunk);
    if (whole) images.set(index, whole);
  }
  return images;
}

const floats = (bytes: Buffer | undefined): Float32Array =>
  bytes === undefined ? new Float32Array() : new Float32Array(new Uint8Array(bytes).buffer);

test('an image in a slot is that of the solver, and the same bytes alone and among others', async (t) => {
  const model = await modelOf(toySlotEngine(network, SIZES));
  const cases: readonly Asked[] = [
    { settings: {} },
    { settings: { sampler: 'heun' } },
    { settings: { sampler: 'unipc', steps: 7 } },
    { options: { inpaint } },
    { settings: { dynamicThreshold: 0.9, varianceNormalisation: true, waveletCorrection: 0.1 } },
  ];
  for (const asked of cases) {
    const alone = await imagesOf(call(model, series({ firstIndex: 3, ...asked })));
    const [among] = await Promise.all([
      imagesOf(call(model, series({ count: 9, ...asked }))),
      imagesOf(call(model, series({ count: 5, firstIndex: 100, settings: { steps: 9 } }))),
      imagesOf(call(model, series({ count: 2, firstIndex: 200, options: { inpaint } }))),
    ]);
    t.is(among.size, 9);
    t.deepEqual(among.get(3), alone.get(3));
    const { plan, taskAt } = series({ firstIndex: 3, ...asked });
    const predict = (row: NetworkRow) => Promise.resolve(network(row));
    const wanted = await drain(solver({ ...taskAt(0).options, plan, predict }));
    t.true(floats(alone.get(3)).every((value, e) => Math.abs(value - at(wanted, e)) < 1e-5));
  }
  await model.close();
});

test('steps that nobody reads are run without asking again, and all are counted', async (t) => {
  const engine = toySlotEngine(network, SIZES);
  const model = await modelOf(engine);
  let steps = 0;
  await imagesOf(call(model, series({ count: 2 }), { onStep: () => (steps += 1) }));
  t.is(steps, 24);
  t.is(engine.passes.flat().length, 24);
  t.true(engine.passes.every((slots) => new Set(slots).size === slots.length && slots.length <= SIZES.size));
  await model.close();
});

test('an image that does not fit into a slot goes over its pixels', async (t) => {
  const engine = toySlotEngine(network, SIZES);
  const model = await modelOf(engine);
  await imagesOf(call(model, series({ settings: { timeShift: { window: 10, cutoff: 5 } } })));
  t.is(engine.passes.length, 0);
  await model.close();
});

test('images that a crashed engine had in its slots are computed again, with the same bytes', async (t) => {
  const images = { count: 3, options: { inpaint } };
  const wanted = await imagesOf(call(await modelOf(toySlotEngine(network, SIZES)), series(images)));
  const [first, second] = [toySlotEngine(network, SIZES), toySlotEngine(network, SIZES)];
  const model = await modelOf(first, second);
  let steps = 0;
  const onStep = (): void => {
    steps += 1;
    if (steps === 10) first.crash();
  };
  const got = await imagesOf(
    call(model, series({ ...images, reports: { previewEverySteps: 1 } }), { onStep }),
  );
  t.deepEqual(got, wanted);
  t.is(steps, 36);
  t.true(second.passes.length > 0);
  await model.close();
});

test('a call that is stopped gives tokens from which a later one goes on, and its slots are free', async (t) => {
  const model = await modelOf(toySlotEngine(network, { slots: 2, size: 2 }));
  for (const settings of [{}, { sampler: 'heun' }, { sampler: 'dpmpp_2m_sde' }] as const) {
    const wanted = await imagesOf(call(model, series({ count: 2, settings })));
    const stopping = new AbortController();
    let steps = 0;
    const onStep = (): void => {
      steps += 1;
      if (steps === 8) stopping.abort(new DiffusionError('SERVICE_STOPPING', 'stopping'));
    };
    const tokens: Uint8Array[] = [];
    const events = call(model, series({ count: 2, settings, reports: { previewEverySteps: 1 } }), {
      ...{ onStep, signal: stopping.signal },
    });
    const read = async (): Promise<void> => {
      for await (const event of events) if (event.$case === 'resumeToken') tokens.push(event.value.token);
    };
    await t.throwsAsync(read(), { message: 'stopping' });
    t.is(tokens.length, 2);
    for (const token of tokens) {
      const { index, state } = readResumeToken(token, 'token', tokenKey);
      t.true(state.stepsDone > 0 && state.stepsDone < 12);
      const resumed = series({ firstIndex: index, settings, options: { resume: state } });
      const got = await imagesOf(call(model, resumed));
      t.deepEqual(got.get(index), wanted.get(index));
    }
  }
  await model.close();
});

test('a cancelled call gives its slots back', async (t) => {
  const model = await modelOf(toySlotEngine(network, { slots: 1, size: 1 }));
  for (let k = 0; k < 3; k++) {
    const leaving = new AbortController();
    const onStep = (): void => {
      leaving.abort(new DiffusionError('CANCELLED', 'left'));
    };
    const events = call(model, series({ count: 4 }), { signal: leaving.signal, onStep });
    await t.throwsAsync(imagesOf(events), { message: 'left' });
  }
  t.is((await imagesOf(call(model, series({ count: 3 })))).size, 3);
  await model.close();
});

test('a network whose output is not finite fails its images', async (t) => {
  const broken = (row: NetworkRow): Float32Array => network(row).map((value) => (row.t < 20 ? NaN : value));
  const model = await modelOf(toySlotEngine(broken, SIZES));
  await t.throwsAsync(imagesOf(call(model, series())), { code: 'INTERNAL', message: /finite/ });
  await model.close();
});

test('slots of a low class leave room for a higher one', async (t) => {
  const model = await modelOf(toySlotEngine(network, { slots: 4, size: 4 }));
  const { slots } = model;
  const noise = imageNoise(1n, 0, 4).stream;
  const waiting = new AbortController();
  const open = (priority: 'batch' | 'interactive') =>
    slots?.open({
      ...{ owner: ownerOf({ priority }), noise, signal: waiting.signal, onStart: () => undefined },
    });
  const batch = [await open('batch'), await open('batch')];
  const third = open('batch');
  const interactive = await open('interactive');
  t.truthy(interactive);
  batch[0]?.close();
  (await third)?.close();
  const last = open('batch');
  waiting.abort(new DiffusionError('CANCELLED', 'left'));
  (await last?.catch(() => undefined))?.close();
  await model.close();
});
