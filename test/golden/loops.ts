/** Whole loops of a golden file's network, each step compared with the reference's. */
import type { ExecutionContext } from 'ava';
import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import type { Engine } from '../../shared/engine/index.js';
import { at } from '../../shared/foundation/index.js';
import { samplerPlan } from '../../shared/sampler/index.js';
import type { Predict, SamplerName, SamplerPlan, SamplerSettings, SamplerStep } from '../../shared/sampler/index.js';
import { difference, engineParameters, isMeanType, isVarianceType, largest, processOf, unetConfigOf, withModule } from './reference.js';
import type { GoldenTensors } from './reference.js';

const TOLERANCE = 3e-3;
/**
 * Why: predicted x_0 is x_t sqrt(1/ab) - epsilon sqrt(1/ab - 1), and at t = 999 of the cosine schedule the second factor is
 * 20,291: one pixel that isn't clipped shows a single bit of float32 in epsilon as 5e-3. The reference's tolerance holds
 * there by luck of rounding, which depends on the processor: asked is a tenth of the network's own tolerance, as much as
 * arrives.
 */
const EPSILON_TOLERANCE = 1e-6;

/** The loop's plan, or why it is not built. */
export function planOf(
  golden: GoldenTensors,
  sampler: SamplerName,
  settings: Omit<SamplerSettings, 'sampler'> = {},
): SamplerPlan | string {
  const varianceType = golden.setting('variance_type');
  const meanType = golden.setting('mean_type');
  if (!isVarianceType(varianceType)) return `variance type ${varianceType} is not built`;
  if (!isMeanType(meanType)) return `mean type ${meanType} is not built`;
  if (meanType === 'previous_x') return 'the reference reads x_{t-1} as the respaced process has it';
  return samplerPlan(
    {
      sampler,
      respacing: golden.setting('respacing'),
      clipDenoised: golden.setting('clip_denoised') === 'true',
      ...settings,
    },
    {
      ...processOf(golden, golden.setting('T')),
      meanType,
      varianceType,
      channels: unetConfigOf(golden).inChannels,
    },
  );
}

/** Runs the loop that `start` begins for each of the file's images, and gives all their steps. */
export async function runLoops(
  engine: Engine,
  golden: GoldenTensors,
  images: number,
  start: (image: number, predict: Predict) => AsyncIterable<SamplerStep>,
): Promise<SamplerStep[][]> {
  return withModule(engine, predictionModule(unetConfigOf(golden), [1]), async (module) => {
    await module.assign(engineParameters(golden));
    const predict: Predict = async ({ xT, t }) => {
      const { modelOutput } = await module.run('predict_1', { xT, t: Float32Array.of(t) });
      return modelOutput ?? new Float32Array(0);
    };
    const all: SamplerStep[][] = [];
    for (let image = 0; image < images; image++) {
      const steps: SamplerStep[] = [];
      for await (const step of start(image, predict)) steps.push(step);
      all.push(steps);
    }
    return all;
  });
}

/** Asserts that values of every step are the file's, [steps, images, ...] under `kind`. */
export function assertSteps(
  t: ExecutionContext,
  plan: SamplerPlan,
  states: readonly (readonly SamplerStep[])[],
  kind: string,
  wanted: Float32Array,
): void {
  const scale = largest(wanted);
  const size = wanted.length / (plan.steps * states.length);
  states.forEach((steps, image) => {
    t.is(steps.length, plan.steps);
    steps.forEach((step, i) => {
      const place = (i * states.length + image) * size;
      const ofXStart = kind === 'pred_xstart';
      const error =
        largest(difference(ofXStart ? step.predXStart : step.sample, wanted.subarray(place, place + size))) /
        scale;
      const reached = ofXStart
        ? EPSILON_TOLERANCE * at(plan.tables.sqrtRecipm1AlphasCumprod, plan.steps - 1 - i)
        : 0;
      t.true(
        error <= Math.max(TOLERANCE, reached),
        `${kind} of image ${image}, step ${i}: off by ${error} of the largest magnitude`,
      );
    });
  });
}

/** Row `row` of `rows` equal ones. */
export function rowOf(values: Float32Array, rows: number, row: number): Float32Array {
  const size = values.length / rows;
  return values.slice(row * size, (row + 1) * size);
}
