/** Whole sampling loops against the reference's, every step of them. */
import test from 'ava';
import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import type { LoadedModule } from '../../shared/engine/index.js';
import { at } from '../../shared/foundation/index.js';
import { samplerPlan, solver } from '../../shared/sampler/index.js';
import type { SamplerPlan, SamplerStep } from '../../shared/sampler/index.js';
import { testOnEngines } from './engines.js';
import { goldenNames } from './golden.js';
import {
  betasOf,
  difference,
  engineParameters,
  GoldenTensors,
  isVarianceType,
  largest,
  unetConfigOf,
  withModule,
} from './reference.js';

const TOLERANCE = 3e-3;
/**
 * Why: predicted x_0 is x_t sqrt(1/ab) - epsilon sqrt(1/ab - 1), and at t = 999 of the cosine schedule the second factor is
 * 20,291: one pixel that isn't clipped shows a single bit of float32 in epsilon as 5e-3. The reference's tolerance holds
 * there by luck of rounding. The eager engine has that luck and is held to it; the compiled one rounds as well on the
 * average (unet_*), and is asked for a tenth of the network's own tolerance, as much as arrives.
 */
const COMPILED_EPSILON_TOLERANCE = 1e-6;

for (const name of goldenNames('sample_')) {
  const golden = new GoldenTensors(name);
  const plan = planOf(golden);
  if (typeof plan === 'string') {
    test.skip(`${name}: ${plan}`, (t) => {
      t.pass();
    });
    continue;
  }
  testOnEngines(`every step of ${name} is the reference's`, async (t, engine) => {
    const [images = 0] = golden.shape('x_T');
    const states: SamplerStep[][] = await withModule(
      engine,
      predictionModule(unetConfigOf(golden), [1]),
      async (module) => {
        await module.assign(engineParameters(golden));
        const all: SamplerStep[][] = [];
        for (let image = 0; image < images; image++) all.push(await sampleOne(module, golden, plan, image));
        return all;
      },
    );
    for (const [kind, valueOf] of [
      ['samples', (step: SamplerStep) => step.sample],
      ['pred_xstart', (step: SamplerStep) => step.predXStart],
    ] as const) {
      const wanted = golden.images(kind);
      const scale = largest(wanted);
      const size = wanted.length / (plan.steps * images);
      states.forEach((steps, image) => {
        t.is(steps.length, plan.steps);
        steps.forEach((step, i) => {
          const place = (i * images + image) * size;
          const error = largest(difference(valueOf(step), wanted.subarray(place, place + size))) / scale;
          const reached =
            kind === 'pred_xstart' && engine.build.name === 'compiled'
              ? COMPILED_EPSILON_TOLERANCE * at(plan.tables.sqrtRecipm1AlphasCumprod, plan.steps - 1 - i)
              : 0;
          t.true(
            error <= Math.max(TOLERANCE, reached),
            `${kind} of image ${image}, step ${i}: off by ${error} of the largest magnitude`,
          );
        });
      });
    }
  });
}

/** The loop's plan, or why it is not built. */
function planOf(golden: GoldenTensors): SamplerPlan | string {
  const sampler = golden.setting('sampler');
  const varianceType = golden.setting('variance_type');
  const meanType = golden.setting('mean_type');
  if (sampler !== 'ancestral' && sampler !== 'ddim') return `sampler ${sampler} is not built`;
  if (!isVarianceType(varianceType)) return `variance type ${varianceType} is not built`;
  if (meanType !== 'epsilon') return `mean type ${meanType} is not built`;
  return samplerPlan(
    {
      sampler,
      respacing: golden.setting('respacing'),
      eta: Number(golden.setting('eta')),
      clipDenoised: golden.setting('clip_denoised') === 'true',
    },
    {
      betas: betasOf(golden),
      meanType: 'epsilon',
      varianceType,
      rescaleTimesteps: golden.setting('rescale_timesteps') === 'true',
      channels: unetConfigOf(golden).inChannels,
    },
  );
}

async function sampleOne(
  module: LoadedModule,
  golden: GoldenTensors,
  plan: SamplerPlan,
  image: number,
): Promise<SamplerStep[]> {
  const [images = 0] = golden.shape('x_T');
  const start = golden.images('x_T');
  const noises = golden.images('noises');
  const size = start.length / images;
  const rowOf = (values: Float32Array, row: number): Float32Array => values.slice(row * size, (row + 1) * size);
  const steps: SamplerStep[] = [];
  const loop = solver({
    plan,
    predict: async ({ xT, t }) => {
      const { modelOutput } = await module.run('predict_1', { xT, t: Float32Array.of(t) });
      return modelOutput ?? new Float32Array(0);
    },
    noise: (position) => (position === 0 ? rowOf(start, image) : rowOf(noises, (position - 1) * images + image)),
  });
  for await (const step of loop) steps.push(step);
  return steps;
}
