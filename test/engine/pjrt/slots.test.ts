/** Sampling in slots of a device against the solvers in TypeScript, on XLA's CPU plugin. */
import anyTest from 'ava';

import { predictionModule } from '../../../services/sampler/engine-process/prediction-module.js';
import {
  KEPT,
  slotPlace,
  stepInputs,
  stepName,
} from '../../../services/sampler/engine-process/slot-inputs.js';
import type { SlotWork } from '../../../services/sampler/engine-process/slot-inputs.js';
import { slotMath } from '../../../services/sampler/engine-process/slot-math.js';
import type { LoadedModule, ModuleFunction } from '../../../shared/engine/index.js';
import { streamNormal } from '../../../shared/engine/index.js';
import { at } from '../../../shared/foundation/index.js';
import { makeBetas, trainingProcess } from '../../../shared/noise/index.js';
import { deriveKey, gaussian } from '../../../shared/random/index.js';
import {
  imageNoise,
  SAMPLERS,
  samplerPlan,
  slotSolver,
  solver,
  SLOT_HISTORY,
} from '../../../shared/sampler/index.js';
import type {
  DiffusionContract,
  Inpainting,
  Predict,
  SamplerPlan,
  SamplerSettings,
  Slot,
  SlotMath,
  SlotRow,
  SlotState,
} from '../../../shared/sampler/index.js';
import { relativeDifference } from '../compiled/both.js';
import { NETWORK, parameters } from '../compiled/training.js';
import { toySlotMath } from '../../sampler/toy-slot-math.js';
import { held, onDevice } from './device.js';
import { test, testAll } from './plugin-file.js';

test('the noise of a stream is that of the random room, up to rounding', async (t) => {
  const [rows, length] = [4, 2001];
  const keys = Array.from({ length: rows }, (_, r) => deriveKey(BigInt(r), 'stream'));
  const positions = [
    [0, 0],
    [1, 7],
    [2 ** 32 - 1, 1],
    [12, 2 ** 31],
  ];
  const called = {
    inputs: {
      key: { shape: [rows, 2], dtype: 'int32' },
      position: { shape: [rows, 2], dtype: 'int32' },
    },
    body: ({ key, position }: Record<string, never>) => ({
      outputs: { drawn: streamNormal(length, key as never, position as never) },
    }),
  } as const;
  const inputs = { key: Int32Array.from(keys.flat()), position: Int32Array.from(positions.flat()) };
  const { drawn } = await onDevice({ variables: [], functions: { called } }, (loaded) =>
    loaded.run('called', inputs),
  );
  for (const [r, key] of keys.entries()) {
    const wanted = gaussian(key, at(positions, r), length);
    const row = drawn?.subarray(r * length, (r + 1) * length) ?? new Float32Array();
    const apart = wanted.reduce((most, value, e) => Math.max(most, Math.abs(value - at(row, e))), 0);
    t.true(apart < 3e-6, `row ${r}: ${apart}`);
  }
  t.is(await held(), 0);
});

test('what parts of rows compute with is the same on the device, for each image by itself', async (t) => {
  const [size, width] = [3, 5];
  const length = width ** 2;
  const images = Array.from({ length: size }, (_, r) => imageNoise(2n, r, length)(0));
  // The largest, the smallest, and between two.
  const ranks = [1, length, 3.25];
  const results = <Value>(math: SlotMath<Value>, x: Value, rank: Value): Value[] => [
    math.add(x, math.sqrt(math.abs(x))),
    math.sub(math.constant(1), x),
    math.div(math.mul(x, rank), math.constant(3)),
    math.min(math.max(x, math.constant(-0.5)), math.mean(x)),
    math.where(math.sub(rank, math.constant(2)), x, math.blockMeans(x)),
    math.blockMeans(x),
    math.add(x, math.ranked(math.abs(x), rank)),
  ];
  const called: ModuleFunction = {
    inputs: {
      x: { shape: [size, width, width, 1], dtype: 'float32' },
      rank: { shape: [size, 1, 1, 1], dtype: 'float32' },
    },
    body: ({ x, rank }) => ({
      outputs: Object.fromEntries(
        results(slotMath, x as never, rank as never).map((each, k) => [`y${k}`, each]),
      ),
    }),
  };
  const inputs = {
    x: Float32Array.from(images.flatMap((each) => [...each])),
    rank: Float32Array.from(ranks),
  };
  const got = await onDevice({ variables: [], functions: { called } }, (on) => on.run('called', inputs));
  for (const [r, each] of images.entries()) {
    const wanted = results(toySlotMath, Float64Array.from(each), Float64Array.of(at(ranks, r)));
    for (const [k, values] of wanted.entries()) {
      const row = got[`y${k}`]?.subarray(r * length, (r + 1) * length) ?? new Float32Array();
      const apart = values.reduce((most, value, e) => Math.max(most, Math.abs(value - at(row, e))), 0);
      const largest = Math.max(1, ...values.map(Math.abs));
      t.true(apart < 1e-6 * largest, `image ${r}, result ${k}: ${apart}`);
    }
  }
  t.is(await held(), 0);
});

const SIZE = 3;
const SLOTS = 5;
const { imageSize, inChannels } = NETWORK;
const LENGTH = imageSize ** 2 * inChannels;
const contract: DiffusionContract = {
  ...trainingProcess(makeBetas({ name: 'linear', timesteps: 100 })),
  ...{ meanType: 'epsilon', varianceType: 'learned_range', channels: inChannels },
};

function planOf(settings: SamplerSettings): SamplerPlan {
  return samplerPlan({ steps: 5, ...settings }, contract);
}

interface Case {
  readonly settings: SamplerSettings;
  readonly inpaint?: Inpainting;
}

const image = imageNoise(9n, 1000, LENGTH)(0).map(Math.tanh);
/** Sampled, kept and blended pixels. */
const inpaint = { image, mask: image.map((_, e) => [0, 1, 0, 0.3][e % 4] ?? 1) };

const CASES: readonly Case[] = [
  ...SAMPLERS.map((sampler) => ({ settings: { sampler } })),
  { settings: { sampler: 'ddim', eta: 0.5, guidanceScale: 2 } },
  { settings: { sampler: 'dpmpp_2m', clipDenoised: false, epsilonScaling: { k: 0, b: 1.02 } } },
  { settings: { sampler: 'heun' }, inpaint },
  { settings: { sampler: 'dpmpp_2m', dynamicThreshold: 0.9 } },
  { settings: { sampler: 'ancestral', dynamicThreshold: 0.995, guidanceScale: 3 }, inpaint },
  { settings: { sampler: 'euler', varianceNormalisation: true } },
  { settings: { sampler: 'heun', waveletCorrection: 0.3 } },
  {
    settings: {
      ...{ sampler: 'ddim', eta: 0.5, guidanceScale: 1.5, varianceNormalisation: true },
      ...{ dynamicThreshold: 0.9, waveletCorrection: -0.2 },
    },
    inpaint,
  },
];

interface SlotImage {
  readonly plan: SamplerPlan;
  readonly slot: number;
  readonly index: number;
  readonly y: number;
  readonly inpaint?: Inpainting;
}

/** What is written into the slot, and all evaluations of an image, in their order. */
async function workOf({ slot, index, ...options }: SlotImage): Promise<[SlotState, SlotWork[]]> {
  const noise = imageNoise(9n, index, LENGTH);
  const rows: SlotRow[] = [];
  let begun: SlotState = { x: new Float32Array(0), history: [] };
  const noted: Slot = {
    write: (state) => {
      begun = state;
      return Promise.resolve();
    },
    run: (some) => {
      rows.push(...some);
      return Promise.resolve(some.length);
    },
    read: () => Promise.reject(new Error('nothing is here')),
  };
  let done = 0;
  for await (const { stepsDone } of slotSolver({ ...options, noise }, noted, () => false)) done = stepsDone;
  if (done !== options.plan.steps) throw new Error(`wanted all steps; got ${done}`);
  return [begun, rows.map((row) => ({ slot, row, key: noise.stream.key, index }))];
}

function joined(arrays: readonly Float32Array[], count: number): Float32Array {
  const all = new Float32Array(count * LENGTH);
  for (const [k, values] of arrays.entries()) all.set(values, k * LENGTH);
  return all;
}

/** Images side by side, of which each pass takes the next evaluation. @returns each image's x and predicted x_0. */
async function sampled(loaded: LoadedModule, images: readonly SlotImage[]): Promise<Float32Array[][]> {
  const waiting: SlotWork[][] = [];
  for (const each of images) {
    const [{ x, history, kept }, works] = await workOf(each);
    const slot = Int32Array.of(each.slot);
    await loaded.run('write', { slot, arrays: joined([x, ...history], 1 + SLOT_HISTORY) });
    const arrays =
      kept &&
      joined(
        KEPT.map((name) => kept[name]),
        KEPT.length,
      );
    if (arrays !== undefined) await loaded.run('keep', { slot, arrays });
    waiting.push(works);
  }
  while (waiting.some((works) => works.length > 0)) {
    const next = waiting.flatMap((works) => works.splice(0, 1));
    for (const name of ['step', 'step_pixels'] as const) {
      const pass = next.filter(({ row }) => stepName(row) === name);
      if (pass.length === 0) continue;
      const { finite } = await loaded.run(name, { ...stepInputs(pass, SIZE, SLOTS) });
      if (finite?.subarray(0, pass.length).every((each) => each === 1) !== true)
        throw new Error('not finite');
    }
  }
  const read = async (slot: number, array: number): Promise<Float32Array> => {
    const inputs = { slot: Int32Array.of(slot), array: Int32Array.of(array) };
    return (await loaded.run('read', inputs))['values'] ?? new Float32Array();
  };
  return Promise.all(
    images.map(async ({ slot }) => [await read(slot, slotPlace('x')), await read(slot, slotPlace('xStart'))]),
  );
}

testAll('every solver in slots gives the images of the solver in TypeScript, up to rounding', async (t) => {
  await onDevice(predictionModule(NETWORK, [SIZE], 'float32', SLOTS), async (loaded) => {
    await loaded.assign(parameters(NETWORK));
    const predict: Predict = async ({ xT, t: timestep, y }) => {
      const inputs = {
        xT: new Float32Array(SIZE * LENGTH),
        t: new Float32Array(SIZE),
        y: new Int32Array(SIZE),
      };
      inputs.xT.set(xT);
      inputs.t.set([timestep]);
      inputs.y.set([y]);
      const { modelOutput = new Float32Array() } = await loaded.run(`predict_${SIZE}`, inputs);
      return modelOutput.subarray(0, modelOutput.length / SIZE);
    };
    for (const { settings, ...kept } of CASES) {
      const plan = planOf(settings);
      const [got = []] = await sampled(loaded, [{ plan, slot: 4, index: 3, y: 1, ...kept }]);
      let last: Float32Array[] = [];
      for await (const step of solver({ plan, predict, noise: imageNoise(9n, 3, LENGTH), y: 1, ...kept }))
        last = [step.sample, step.predXStart];
      for (const [k, wanted] of last.entries()) {
        const difference = relativeDifference(got[k] ?? new Float32Array(), wanted);
        // What rounding does to the noise and to a step, later steps multiply.
        t.true(difference < 1e-4, `${JSON.stringify(settings)}, ${k}: ${difference}`);
      }
    }
  });
  t.is(await held(), 0);
});

for (const precision of ['float32', 'bfloat16'] as const) {
  testAll(`an image's bytes depend neither on its slot nor on the others: ${precision}`, async (t) => {
    await onDevice(predictionModule(NETWORK, [SIZE], precision, SLOTS), async (loaded) => {
      await loaded.assign(parameters(NETWORK));
      const other = planOf({ sampler: 'heun', steps: 7 });
      const ofPixels = { dynamicThreshold: 0.9, varianceNormalisation: true, waveletCorrection: 0.1 };
      for (const [settings, kept] of [
        [{}, {}],
        [ofPixels, { inpaint }],
      ]) {
        const plan = planOf({ sampler: 'ancestral', ...settings });
        const image = { plan, index: 7, y: 2, ...kept };
        const [alone] = await sampled(loaded, [{ ...image, slot: 0 }]);
        for (const others of [{}, { inpaint }]) {
          const among = await sampled(loaded, [
            { plan: other, slot: 1, index: 1, y: 0, ...others },
            { plan, slot: 4, index: 2, y: 1, ...others },
            { ...image, slot: 3 },
          ]);
          t.deepEqual(among[2], alone);
          t.notDeepEqual(among[1], alone);
        }
      }
    });
  });
}

anyTest('inputs of a pass name each slot once', async (t) => {
  const plan = planOf({ sampler: 'ddim' });
  const images = await Promise.all([4, 0].map((slot) => workOf({ plan, slot, index: 1, y: 0 })));
  const works = images.map(([, ofImage]) => at(ofImage, 0));
  const { place, slot } = stepInputs(works, SIZE, SLOTS);
  t.deepEqual([...place], [1, -1, -1, -1, 0]);
  t.deepEqual([...slot], [4, 0, 0]);
});
