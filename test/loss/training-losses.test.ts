/** What the losses promise about the perturbed input, the target and the variational bound. */
import test from 'ava';
import fc from 'fast-check';
import { createEagerEngine, tf } from '../../shared/engine/index.js';
import { trainingLosses } from '../../shared/loss/index.js';
import type { Objective, TrainingBatch, TrainingLosses } from '../../shared/loss/index.js';
import { diffusionTables, makeBetas } from '../../shared/noise/index.js';
import type { VarianceType } from '../../shared/noise/index.js';
import { noiseTensor } from '../model/networks.js';

await createEagerEngine();

const tables = diffusionTables(makeBetas({ name: 'cosine', timesteps: 100 }));
const SHAPE = [4, 4, 4, 3];

function objective(varianceType: VarianceType, lossType: Objective['lossType'] = 'mse'): Objective {
  return { meanType: 'epsilon', varianceType, lossType, target: 'epsilon' };
}

/** A network that answers the same whatever it's fed, and remembers what that was. */
function constantNetwork(channels: number): { network: TrainingBatch['network']; fed: tf.Tensor[] } {
  const fed: tf.Tensor[] = [];
  return {
    fed,
    network: (xT) => {
      fed.push(xT);
      return noiseTensor('answer', [...xT.shape.slice(0, 3), channels]);
    },
  };
}

function batch(changes: Partial<TrainingBatch> = {}): TrainingBatch {
  return {
    network: constantNetwork(6).network,
    tables,
    objective: objective('learned_range'),
    xStart: tf.clipByValue(noiseTensor('x0', SHAPE), -1, 1),
    t: tf.tensor1d([0, 1, 50, 99], 'int32'),
    epsilon: noiseTensor('epsilon', SHAPE),
    xi: noiseTensor('xi', SHAPE),
    gamma: tf.scalar(0.1),
    ...changes,
  };
}

const valuesOf = (tensor: tf.Tensor | undefined): number[] => [...(tensor?.dataSync() ?? [])];

test('without perturbation the input is q_sample of epsilon, bit for bit', (t) => {
  tf.tidy(() => {
    const given = batch({ gamma: tf.scalar(0) });
    const at = (table: Float64Array): tf.Tensor =>
      tf.reshape(tf.tensor1d(Array.from(given.t.dataSync(), (i) => table[i] ?? NaN)), [4, 1, 1, 1]);
    const sample = tf.add(
      tf.mul(at(tables.sqrtAlphasCumprod), given.xStart),
      tf.mul(at(tables.sqrtOneMinusAlphasCumprod), given.epsilon),
    );
    t.deepEqual(valuesOf(trainingLosses(given).xT), valuesOf(sample));
  });
});

test("xT is the network's input", (t) => {
  tf.tidy(() => {
    const { network, fed } = constantNetwork(6);
    const { xT } = trainingLosses(batch({ network }));
    t.deepEqual(fed.map(valuesOf), [valuesOf(xT)]);
  });
});

test("the noise in the network's input has variance 1 + gamma^2", (t) => {
  const shape = [16, 16, 16, 3];
  const moments = (gamma: number): [measured: number, reported: number] =>
    tf.tidy(() => {
      const { network, fed } = constantNetwork(6);
      const times = Int32Array.from({ length: 16 }, (_, i) => 6 * i + 5);
      const xStart = tf.fill(shape, 0.3);
      const { inputNoiseVariance } = trainingLosses(
        batch({
          network,
          xStart,
          t: tf.tensor1d(times, 'int32'),
          epsilon: noiseTensor('many epsilon', shape),
          xi: noiseTensor('many xi', shape),
          gamma: tf.scalar(gamma),
        }),
      );
      // Var(y_t | x_0) / (1 - alphasCumprod), example by example.
      const xT = valuesOf(fed[0]);
      const size = xT.length / 16;
      const variances = Array.from(times, (time, i) => {
        const scale = tables.sqrtAlphasCumprod[time] ?? NaN;
        const rest = xT.slice(i * size, (i + 1) * size).map((value) => value - 0.3 * scale);
        const mean = rest.reduce((sum, value) => sum + value, 0) / size;
        const variance = rest.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size;
        return variance / (1 - (tables.alphasCumprod[time] ?? NaN));
      });
      return [variances.reduce((sum, value) => sum + value, 0) / 16, valuesOf(inputNoiseVariance)[0] ?? NaN];
    });
  for (const gamma of [0, 0.1, 0.5, 1]) {
    for (const variance of moments(gamma)) {
      t.true(Math.abs(variance / (1 + gamma ** 2) - 1) < 0.03, `gamma ${gamma}: ${variance}`);
    }
  }
});

test('xT is linear in gamma, and the target does not depend on it', (t) => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (gamma) => {
      tf.tidy(() => {
        const losses = (value: number): TrainingLosses =>
          trainingLosses(
            batch({
              objective: objective('fixed_small'),
              network: constantNetwork(3).network,
              gamma: tf.scalar(value),
            }),
          );
        const [none, some, all] = [losses(0), losses(gamma), losses(1)];
        const expected = tf.add(none.xT, tf.mul(tf.sub(all.xT, none.xT), gamma));
        t.true(Math.max(...valuesOf(tf.abs(tf.sub(expected, some.xT)))) < 1e-5);
        // The constant network's answer is compared with the target alone.
        t.deepEqual(valuesOf(some.mse), valuesOf(none.mse));
      });
    }),
    { numRuns: 10 },
  );
});

test('the VLB trains the variance only, the error the mean only', (t) => {
  tf.tidy(() => {
    const answer = noiseTensor('head', [...SHAPE.slice(0, 3), 6]);
    const gradientOf = (term: 'mse' | 'vlb'): [mean: tf.Tensor, variance: tf.Tensor] => {
      const gradient = tf.grad((output) =>
        tf.sum(trainingLosses(batch({ network: () => output }))[term] as tf.Tensor),
      )(answer);
      return tf.split(gradient, 2, 3) as [tf.Tensor, tf.Tensor];
    };
    const someGradient = (tensor: tf.Tensor): boolean => valuesOf(tensor).some((value) => value !== 0);
    t.deepEqual(gradientOf('vlb').map(someGradient), [false, true]);
    t.deepEqual(gradientOf('mse').map(someGradient), [true, false]);
  });
});

test('the hybrid loss is error plus VLB, which rescaling weighs by T / 1000', (t) => {
  tf.tidy(() => {
    const plain = trainingLosses(batch());
    const rescaled = trainingLosses(batch({ objective: objective('learned_range', 'rescaled_mse') }));
    const [mse, vlb, loss] = [valuesOf(plain.mse), valuesOf(plain.vlb), valuesOf(plain.loss)];
    t.true(vlb.every((value) => Number.isFinite(value)));
    loss.forEach((value, i) => {
      t.true(Math.abs(value - (mse[i] ?? NaN) - (vlb[i] ?? NaN)) <= 1e-6 * Math.abs(value));
    });
    t.deepEqual(valuesOf(rescaled.mse), mse);
    valuesOf(rescaled.vlb).forEach((value, i) => {
      t.true(Math.abs(value - 0.1 * (vlb[i] ?? NaN)) <= 1e-6 * Math.abs(value));
    });
  });
});

for (const varianceType of ['fixed_small', 'fixed_large'] as const) {
  test(`with ${varianceType} variance the loss is the error, and there is no VLB`, (t) => {
    tf.tidy(() => {
      const network = constantNetwork(3).network;
      const { mse, loss, vlb } = trainingLosses(
        batch({ objective: objective(varianceType, 'rescaled_mse'), network }),
      );
      t.deepEqual(valuesOf(loss), valuesOf(mse));
      t.is(vlb, undefined);
    });
  });
}
