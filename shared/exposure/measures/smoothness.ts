/** Do close points have similar predictions? The reason that the paper gives for its method. */
import { at, integer, mapInOrder, real } from '../../foundation/index.js';
import { weightedSum } from '../../noise/index.js';
import { predictedEpsilon } from '../../sampler/index.js';
import { streamingBootstrap } from '../../statistics/index.js';
import { curveOf } from '../curves.js';
import { indicesUpTo } from '../indices.js';
import { ownMeasure } from '../measure.js';
import type { Setup } from '../setup.js';
import { diffusedTo, measuringNoise, solverOptions } from '../trajectory.js';
import { spread } from './prediction-error.js';

/** Small beside the noise, and large beside the digits of float32. */
const SMALL_STEP = 0.01;

/**
 * At x_t of real images: the Lipschitz ratio |eps(a) - eps(b)| / |a - b| for a b that input perturbation of strength gamma
 * would have made of a, and the norm of the input gradient, sqrt(|d eps / d x_t|_F^2 / D). The gradient is the model's own
 * where it can give it, else the mean over random directions v of |eps(a + h v) - eps(a)|^2 / |h v|^2, h small.
 */
export const smoothness = ownMeasure({
  name: 'smoothness',
  help: 'how much the predicted noise changes with x_t: at the distance of an input perturbation, and the norm of the gradient',
  settings: {
    gamma: { kind: real(0.001, 1), default: 0.1, help: 'strength of the perturbation' },
    images: { kind: integer(8, 100_000), default: 100, help: 'images at each timestep, at most' },
    timesteps: { kind: integer(1, 1000), default: 10, help: 'timesteps of the plan, evenly spread' },
  },
  run: async (setup, { gamma, images: most, timesteps }) => {
    const { plan, model } = setup;
    const n = Math.min(most, setup.images);
    const levels = spread(plan.steps, timesteps);
    const xs = levels.map((i) => at(plan.timestepMap, i));
    const stream = streamingBootstrap(2 * levels.length, setup.bootstrap);
    let done = 0;
    for await (const values of mapInOrder(indicesUpTo(n), setup.width, (index) =>
      changesOf(setup, levels, index, gamma),
    )) {
      stream.add(values);
      setup.progress(++done, n);
    }
    const x = 'timestep t';
    const how =
      model.inputGradient === undefined
        ? `by finite differences of ${SMALL_STEP} along a random direction for each image`
        : 'as the model gives it';
    return {
      figures: [
        {
          ...{
            name: 'lipschitz',
            title: `Change of epsilon over the distance of a perturbation, gamma = ${gamma}`,
            x,
          },
          ...{ y: '|eps(a) - eps(b)| / |a - b|', logarithmic: true },
          curves: [curveOf('ratio', stream, xs, (means, i) => at(means, 2 * i))],
        },
        {
          ...{ name: 'gradient', title: 'Norm of the input gradient', x, y: '(|d eps/dx|² / D)^(1/2)' },
          logarithmic: true,
          curves: [curveOf('norm', stream, xs, (means, i) => Math.sqrt(at(means, 2 * i + 1)))],
        },
      ],
      findings: [
        {
          name: 'Lipschitz ratio, mean over t',
          ...stream.estimate(
            (means) => levels.reduce((sum, _, i) => sum + at(means, 2 * i), 0) / levels.length,
          ),
        },
      ],
      images: n,
      notes: [`${n} images. The gradient is taken ${how}.`],
    };
  },
});

async function changesOf(
  setup: Setup,
  levels: readonly number[],
  index: number,
  gamma: number,
): Promise<Float64Array> {
  const { plan, model, seed } = setup;
  const options = solverOptions(setup, index);
  const xStart = await setup.data.image(index);
  const changes = new Float64Array(2 * levels.length);
  for (const [place, i] of levels.entries()) {
    const a = diffusedTo(setup, i, index, xStart);
    const epsilon = await predictedEpsilon(options, i, a);
    const ratioTo = async (scale: number, direction: Float32Array): Promise<number> => {
      const b = weightedSum(1, a, scale, direction);
      return distance(await predictedEpsilon(options, i, b), epsilon) / distance(b, a);
    };
    const scale = gamma * at(plan.tables.sqrtOneMinusAlphasCumprod, i);
    changes[2 * place] = await ratioTo(scale, measuringNoise(seed, 'perturbation', index, i, a.length));
    changes[2 * place + 1] =
      model.inputGradient === undefined
        ? (await ratioTo(SMALL_STEP, measuringNoise(seed, 'direction', index, i, a.length).map(Math.sign))) **
          2
        : await model.inputGradient({ xT: a, t: at(plan.modelTimesteps, i), y: options.y ?? -1 });
  }
  return changes;
}

function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let e = 0; e < a.length; e++) sum += ((a[e] ?? NaN) - (b[e] ?? NaN)) ** 2;
  return Math.sqrt(sum);
}
