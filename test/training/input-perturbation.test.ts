/** What the compiled step really feeds its network, so that no refactor switches the perturbation off unseen. */
import test from 'ava';

import { trainingModule, stepInputs } from '../../shared/training/training-module.js';
import { createCompiledEngine, statelessNormal, tf } from '../../shared/engine/index.js';
import type { EngineArray, EngineModule, ModuleFunction } from '../../shared/engine/index.js';
import { at } from '../../shared/foundation/index.js';
import { parametersOf, unet } from '../../shared/model/index.js';
import { diffusionTables } from '../../shared/noise/index.js';
import { VARIANTS, type PartialRecipe } from '../../shared/recipe/index.js';
import { livelyParameters } from '../model/networks.js';
import { BATCH, configOf, fed, noiseRows, pixelsOf, recipeOf } from './network-input.js';

const engine = await createCompiledEngine();

const GAMMA = 0.5;

const meanSquare = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value ** 2, 0) / values.length;

for (const variant of VARIANTS) {
  test.serial(
    `the noise that ${variant} feeds its network has the variance it is streamed with`,
    async (t) => {
      const gradientPenalty = variant === 'ADM-GP' ? { weight: 0.1 } : {};
      const optimizer = variant === 'ADM-WD' ? { weightDecay: 0.1 } : {};
      const perturbed = variant.endsWith('-IP') || variant === 'DDPM-y';
      const recipe = recipeOf({
        ...{ variant, gradientPenalty, optimizer },
        inputPerturbation: perturbed ? { gamma: GAMMA } : {},
      });
      const updates = await fed(recipe, [0, 1, 2, 3]);
      const measured: number[] = [];
      for (const { metrics, passes } of updates) {
        const own = meanSquare(passes.flatMap((pass) => noiseRows(recipe, pass).flat()));
        t.true(Math.abs(metrics.inputNoiseVariance / own - 1) < 1e-4);
        measured.push(own);
      }
      // 24,576 values: their variance is off by 1 % or so.
      const variance = measured.reduce((sum, each) => sum + each, 0) / measured.length;
      const wanted = perturbed ? 1 + GAMMA ** 2 : 1;
      t.true(Math.abs(variance / wanted - 1) < 0.03, `${variance} for ${wanted}`);
    },
  );
}

test.serial('the input has the gamma of its schedule, row by row and step by step', async (t) => {
  const of = async (inputPerturbation: PartialRecipe['inputPerturbation'], steps: readonly number[]) => {
    const recipe = recipeOf({ variant: 'ADM-IP', inputPerturbation: { gamma: 1, ...inputPerturbation } });
    return { recipe, updates: await fed(recipe, steps) };
  };
  const variances = ({ recipe, updates }: Awaited<ReturnType<typeof of>>): number[] =>
    updates.map(({ passes }) => meanSquare(passes.flatMap((pass) => noiseRows(recipe, pass).flat())));
  // 6,144 values in each step.
  const near = (got: number | undefined, wanted: number): void => {
    t.true(Math.abs((got ?? NaN) / wanted - 1) < 0.06, `${got} for ${wanted}`);
  };

  const decay = variances(await of({ schedule: 'decay', decaySteps: 4 }, [0, 2, 4, 6]));
  [1 + 1, 1 + 0.5 ** 2, 1, 1].forEach((wanted, i) => {
    near(decay[i], wanted);
  });

  const timestep = await of({ schedule: 'timestep' }, [0, 1, 2, 3]);
  const halves: [number[], number[]] = [[], []];
  const expected: [number[], number[]] = [[], []];
  for (const { passes } of timestep.updates) {
    for (const pass of passes) {
      noiseRows(timestep.recipe, pass).forEach((values, row) => {
        const time = at(pass.inputs['t'] as Int32Array, row);
        const half = time < 20 ? 0 : 1;
        halves[half].push(...values);
        expected[half].push(1 + (0.1 + (0.9 * time) / 39) ** 2);
      });
    }
  }
  for (const half of [0, 1] as const) {
    near(
      meanSquare(halves[half]),
      expected[half].reduce((sum, each) => sum + each, 0) / expected[half].length,
    );
  }

  const random = await of({ schedule: 'random' }, [0, 1, 2, 3]);
  t.is(new Set(random.updates.map(({ metrics }) => metrics.gamma)).size, 4);
  variances(random).forEach((variance, i) => {
    near(variance, 1 + at(random.updates, i).metrics.gamma ** 2);
  });
});

test.serial('the passes of a step are perturbed like a single pass, each with its own noise', async (t) => {
  const recipe = recipeOf({
    variant: 'ADM-IP',
    inputPerturbation: { gamma: GAMMA },
    training: { microbatchSize: BATCH / 2 },
  });
  const [{ passes } = { passes: [] }] = await fed(recipe, [0]);
  t.is(passes.length, 2);
  const noise = passes.map((pass) => noiseRows(recipe, pass).flat());
  for (const values of noise) t.true(Math.abs(meanSquare(values) / (1 + GAMMA ** 2) - 1) < 0.08);
  const product = at(noise, 0).map((value, i) => value * at(at(noise, 1), i));
  t.true(Math.abs(product.reduce((sum, each) => sum + each, 0) / product.length) < 0.08);
});

const DRAWS = { noiseKey: Int32Array.of(1, 2), xiKey: Int32Array.of(3, 4) };

function pass(gamma: number): Record<string, EngineArray> {
  return {
    pixels: pixelsOf(BATCH),
    t: Int32Array.from({ length: BATCH }, (_, i) => i),
    lossWeights: new Float32Array(BATCH).fill(1),
    gamma: new Float32Array(BATCH).fill(gamma),
    ...DRAWS,
  };
}

async function stepWith(
  module: EngineModule,
  name: string,
  weights: ReadonlyMap<string, Float32Array>,
  inputs: Record<string, EngineArray>,
) {
  const loaded = await engine.load(module);
  await loaded.assign(new Map([...weights].map(([parameter, value]) => [`weights/${parameter}`, value])));
  const outputs = await loaded.run(name, inputs);
  const bias = module.variables.some((each) => each.name === 'adam_m/out.2.bias')
    ? (await loaded.read(['adam_m/out.2.bias'])).get('adam_m/out.2.bias')
    : undefined;
  await loaded.dispose();
  return { outputs, bias };
}

test.serial(
  'what a network that answers the same to all inputs learns does not depend on gamma but for DDPM-y',
  async (t) => {
    const learned = async (variant: 'DDPM-IP' | 'DDPM-y', gamma: number) => {
      const recipe = recipeOf({ variant, inputPerturbation: { gamma } });
      const config = configOf(recipe);
      // Its last convolution is of zeros, so that its answer and the answer's gradient come from the target alone.
      const weights = livelyParameters(config.architecture);
      weights.set('out.2.weight', new Float32Array(weights.get('out.2.weight')?.length ?? 0));
      const rates = stepInputs({ ...recipe.optimizer, emaRates: config.emaRates, emaWarmUp: false }, 0);
      const { outputs, bias } = await stepWith(trainingModule(config), 'trainStep', weights, {
        ...pass(gamma),
        ...rates,
      });
      return { losses: outputs['losses'], bias };
    };
    t.deepEqual(await learned('DDPM-IP', 0.7), await learned('DDPM-IP', 0.1));
    t.notDeepEqual(await learned('DDPM-y', 0.7), await learned('DDPM-y', 0.1));
  },
);

test.serial(
  'at gamma 0 the losses are, bit for bit, those of a step that knows no perturbation',
  async (t) => {
    const recipe = recipeOf({ variant: 'DDPM' });
    const config = configOf(recipe);
    const { architecture } = config;
    const tables = diffusionTables(config.betas);
    const shape = [BATCH, 8, 8, 3];
    const extract = (table: Float64Array, time: tf.Tensor): tf.Tensor =>
      tf.reshape(tf.gather(tf.tensor1d(Float32Array.from(table)), time), [-1, 1, 1, 1]);
    const module = trainingModule(config);
    const plain: ModuleFunction = {
      inputs: {
        pixels: { shape, dtype: 'uint8' },
        t: { shape: [BATCH], dtype: 'int32' },
        noiseKey: { shape: [2], dtype: 'int32' },
      },
      body: (inputs, variables) => {
        const { pixels, t: time, noiseKey } = inputs as Record<'pixels' | 't' | 'noiseKey', tf.Tensor>;
        const xStart = tf.sub(tf.div(tf.cast(pixels, 'float32'), 127.5), 1);
        const epsilon = statelessNormal(shape, noiseKey);
        const xT = tf.add(
          tf.mul(extract(tables.sqrtAlphasCumprod, time), xStart),
          tf.mul(extract(tables.sqrtOneMinusAlphasCumprod, time), epsilon),
        );
        const output = unet(
          architecture,
          parametersOf(architecture, variables, 'weights/'),
          xT,
          tf.cast(time, 'float32'),
        );
        const errors = tf.square(tf.sub(epsilon, output));
        return { outputs: { losses: tf.mean(tf.reshape(errors, [BATCH, -1]), 1) } };
      },
    };
    const weights = livelyParameters(architecture);
    const rates = stepInputs({ ...recipe.optimizer, emaRates: config.emaRates, emaWarmUp: false }, 0);
    const { pixels, t: time, noiseKey } = pass(0) as Record<'pixels' | 't' | 'noiseKey', EngineArray>;
    const known = await stepWith({ ...module, functions: { plain } }, 'plain', weights, {
      pixels,
      t: time,
      noiseKey,
    });
    const ours = await stepWith(module, 'trainStep', weights, { ...pass(0), ...rates });
    const perturbed = await stepWith(module, 'trainStep', weights, { ...pass(0.1), ...rates });
    t.deepEqual(ours.outputs['losses'], known.outputs['losses']);
    t.notDeepEqual(perturbed.outputs['losses'], known.outputs['losses']);
  },
);
