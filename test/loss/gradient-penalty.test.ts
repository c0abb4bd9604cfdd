/** The gradient penalty against Jacobians that are known, and its gradients against differences. */
import test from 'ava';

import { createEagerEngine, tf } from '../../shared/engine/index.js';
import { at } from '../../shared/foundation/index.js';
import { trainingLosses } from '../../shared/loss/index.js';
import type { GradientPenalty, Objective, TrainingBatch } from '../../shared/loss/index.js';
import { diffusionTables, makeBetas } from '../../shared/noise/index.js';
import { noiseArray, noiseTensor } from '../model/networks.js';

await createEagerEngine();

const tables = diffusionTables(makeBetas({ name: 'cosine', timesteps: 100 }));
// Images of 2 x 2 grey pixels, all of whose 16 sign vectors can be tried.
const D = 4;
const SHAPE = [2, 2, 2, 1];
const WEIGHTS = noiseArray('penalty A', D * D);
const ALL_SIGNS = Array.from({ length: 2 ** D }, (_, bits) =>
  Array.from({ length: D }, (__, i) => ((bits >> i) & 1) * 2 - 1),
);
const ESTIMATORS = ['hutchinson', 'finite_difference'] as const;

type Network = TrainingBatch['network'];

const rows = (x: tf.Tensor): tf.Tensor => tf.reshape(x, [-1, D]);
const A = (): tf.Tensor => tf.tensor2d(WEIGHTS, [D, D]);
/** x A in each image, and tanh(x A), whose Jacobians are known. */
const linear: Network = (xT) => tf.reshape(tf.matMul(rows(xT), A()), xT.shape);
const bent: Network = (xT) => tf.reshape(tf.tanh(tf.matMul(rows(xT), A())), xT.shape);
/** The same with a variance half of its own. */
const withVariance =
  (network: Network, scale: number): Network =>
  (xT, t) =>
    tf.concat([network(xT, t), tf.mul(tf.square(xT), scale)], 3);

function losses(
  network: Network,
  signs: readonly number[],
  penalty: Partial<GradientPenalty> = {},
  objective: Partial<Objective> = {},
) {
  const images = SHAPE[0] ?? 0;
  return trainingLosses({
    network,
    tables,
    objective: {
      ...{ meanType: 'epsilon', varianceType: 'fixed_small', lossType: 'mse', target: 'epsilon' },
      gradientPenalty: { weight: 0.5, estimator: 'hutchinson', stepSize: 0.01, ...penalty },
      ...objective,
    },
    xStart: tf.tanh(noiseTensor('penalty x0', SHAPE)),
    t: tf.tensor1d([20, 70], 'int32'),
    epsilon: noiseTensor('penalty epsilon', SHAPE),
    xi: noiseTensor('penalty xi', SHAPE),
    gamma: tf.zeros([images]),
    rademacher: tf.tensor(
      Float32Array.from({ length: images * D }, (_, i) => at(signs, i % D)),
      SHAPE,
    ),
  });
}

const numbers = (tensor: tf.Tensor | undefined): number[] => [...(tensor?.dataSync() ?? [])];
const penaltyOf = (...given: Parameters<typeof losses>): number[] =>
  tf.tidy(() => numbers(losses(...given).gradientPenalty));

/** The mean over all sign vectors, in each of the images. */
function expectation(network: Network, penalty: Partial<GradientPenalty>): number[] {
  const values = ALL_SIGNS.map((signs) => penaltyOf(network, signs, penalty));
  return [0, 1].map((image) => values.reduce((sum, each) => sum + at(each, image), 0) / values.length);
}

/** |J|_F^2 / D of tanh(x A) at the x_t of an image, in float64. */
function known(image: number): number {
  const xT = tf.tidy(() => numbers(losses(bent, at(ALL_SIGNS, 0)).xT)).slice(image * D, (image + 1) * D);
  let sum = 0;
  for (let j = 0; j < D; j++) {
    const u = xT.reduce((product, x, i) => product + x * at(WEIGHTS, i * D + j), 0);
    for (let i = 0; i < D; i++) sum += ((1 - Math.tanh(u) ** 2) * at(WEIGHTS, i * D + j)) ** 2;
  }
  return sum / D;
}

const isNear = (got: number, wanted: number, tolerance: number): boolean =>
  Math.abs(got / wanted - 1) <= tolerance;

test("over all Rademacher vectors Hutchinson's mean is |J|_F^2 a value; one vector's need not be", (t) => {
  const mean = expectation(bent, { estimator: 'hutchinson' });
  for (const image of [0, 1]) t.true(isNear(at(mean, image), known(image), 1e-5));
  const single = penaltyOf(bent, at(ALL_SIGNS, 5), {});
  t.false(isNear(at(single, 0), known(0), 0.05));
});

test('finite differences are exact where the network is linear, and off by O(h^2) in the mean where not', (t) => {
  const squared = WEIGHTS.reduce((sum, weight) => sum + weight ** 2, 0) / D;
  for (const value of expectation(linear, { estimator: 'finite_difference' }))
    t.true(isNear(value, squared, 1e-4));
  const off = (stepSize: number): number =>
    Math.abs(at(expectation(bent, { estimator: 'finite_difference', stepSize }), 0) - known(0));
  t.true(isNear(off(0.1) / off(0.05), 4, 0.1), `${off(0.1)}, ${off(0.05)}`);
  t.true(off(0.01) < 1e-3 * known(0));
});

for (const estimator of ESTIMATORS) {
  test(`the loss is what it was plus lambda times the penalty, of the epsilon half alone: ${estimator}`, (t) => {
    tf.tidy(() => {
      const signs = at(ALL_SIGNS, 6);
      const learned = { varianceType: 'learned_range' } as const;
      const [some, none] = [{}, { gradientPenalty: undefined }].map((over) =>
        losses(withVariance(bent, 0.3), signs, { estimator }, { ...learned, ...over }),
      );
      t.is(none?.gradientPenalty, undefined);
      t.deepEqual(numbers(some?.gradientPenalty), penaltyOf(bent, signs, { estimator }));
      t.deepEqual([numbers(some?.mse), numbers(some?.vlb)], [numbers(none?.mse), numbers(none?.vlb)]);
      numbers(some?.loss).forEach((loss, i) => {
        const wanted = at(numbers(none?.loss), i) + 0.5 * at(numbers(some?.gradientPenalty), i);
        t.true(isNear(loss, wanted, 1e-6));
      });
    });
  });
}
