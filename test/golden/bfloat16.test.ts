/**
 * bfloat16 against the reference. Its factors have 8 bits, so a product is off by up to 0.4 %; the tolerances are some
 * twice what was measured, and a tenth of what a wrong term would give.
 */
import test from 'ava';

import { fromEngineLayout, parameterSpecs } from '../../shared/model/index.js';
import { bfloat16 } from './engines.js';
import { goldenNames } from './golden.js';
import { lossConfigOf, lossesOf } from './losses.js';
import { outputError } from './outputs.js';
import { difference, GoldenTensors, norm, objectiveOf } from './reference.js';

/** Of the output's largest magnitude. */
const OUTPUT_TOLERANCE = 0.05;
/** Of each example's loss. */
const LOSS_TOLERANCE = 0.02;
/** Of all gradients' norm. */
const GRADIENT_TOLERANCE = 0.05;

for (const name of goldenNames('unet_')) {
  test(`the output of ${name} is the reference's, but for bfloat16`, async (t) => {
    const error = await outputError(bfloat16, name);
    t.log(`largest error ${error.toExponential(1)} of the largest magnitude`);
    t.true(error <= OUTPUT_TOLERANCE);
  });
}

for (const name of goldenNames('loss_').filter((file) => file.endsWith('.safetensors'))) {
  const golden = new GoldenTensors(name);
  const objective = objectiveOf(golden);
  // Reported as skipped where float32 is tested.
  if (typeof objective === 'string') continue;
  // A bound of hundreds of bits is exp of what bfloat16 rounds.
  if (objective.lossType.endsWith('kl')) continue;
  test(`losses and gradients of ${name} are the reference's, but for bfloat16`, async (t) => {
    const config = lossConfigOf(golden, objective);
    const results = await lossesOf(bfloat16, golden, config);
    const lossError = golden
      .floats('loss')
      .reduce((most, wanted, i) => Math.max(most, Math.abs((results['losses']?.[i] ?? NaN) / wanted - 1)), 0);
    let [squaredError, squaredNorm] = [0, 0];
    for (const spec of parameterSpecs(config.architecture)) {
      const wanted = golden.floats(`grad/${spec.name}`);
      const ours = fromEngineLayout(spec, results[`grad/${spec.name}`] ?? new Float32Array(0));
      squaredError += norm(difference(ours, wanted)) ** 2;
      squaredNorm += norm(wanted) ** 2;
    }
    const gradientError = Math.sqrt(squaredError / squaredNorm);
    t.log(`losses off by ${lossError.toExponential(1)}, gradients by ${gradientError.toExponential(1)} of their norm`);
    t.true(lossError <= LOSS_TOLERANCE);
    t.true(gradientError <= GRADIENT_TOLERANCE);
  });
}
