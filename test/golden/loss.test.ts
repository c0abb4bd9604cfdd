/** The training losses and their gradients in every parameter against the reference's. */
import type { ExecutionContext } from 'ava';
import type { TrainingStepConfig } from '../../shared/training/training-step.js';
import { fromEngineLayout, parameterSpecs } from '../../shared/model/index.js';
import { skipTest, testOnEngines } from './engines.js';
import { goldenNames } from './golden.js';
import { lossConfigOf, lossesOf } from './losses.js';
import { difference, GoldenTensors, norm, objectiveOf } from './reference.js';

const TOLERANCE = 1e-5;
/** The discretised likelihood at t = 0 cancels in float32. */
const BOUND_TOLERANCE = 1e-3;
const GRADIENT_TOLERANCE = 1e-3;
/** Of the largest gradient's norm: at most so much is zero in exact arithmetic; ours may be ten times that. */
const ZERO_GRADIENT = 1e-6;

for (const name of goldenNames('loss_').filter((file) => file.endsWith('.safetensors'))) {
  const golden = new GoldenTensors(name);
  const objective = objectiveOf(golden);
  if (typeof objective === 'string') {
    skipTest(name, objective);
    continue;
  }
  testOnEngines(`losses and gradients of ${name} are the reference's`, async (t, engine) => {
    const config = lossConfigOf(golden, objective);
    const results = await lossesOf(engine, golden, config);
    checkLosses(t, golden, results);
    checkGradients(t, golden, config, results);
  });
}

function checkLosses(t: ExecutionContext, golden: GoldenTensors, results: Record<string, Float32Array>): void {
  const bounded = golden.has('vb');
  const mean = (name: string): number => {
    const values = golden.floats(name);
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const check = (what: string, ours: number, wanted: number, tolerance: number): void => {
    const error = Math.abs(ours - wanted) / Math.abs(wanted);
    t.true(error <= tolerance, `${what}: ${ours} for ${wanted}, an error of ${error}`);
  };
  golden.floats('loss').forEach((wanted, i) => {
    check(`loss[${i}]`, results['losses']?.[i] ?? NaN, wanted, bounded ? BOUND_TOLERANCE : TOLERANCE);
  });
  if (golden.has('mse')) check('mean mse', results['mse']?.[0] ?? NaN, mean('mse'), TOLERANCE);
  if (bounded) check('mean vb', results['vlb']?.[0] ?? NaN, mean('vb'), BOUND_TOLERANCE);
}

function checkGradients(
  t: ExecutionContext,
  golden: GoldenTensors,
  { architecture }: TrainingStepConfig,
  results: Record<string, Float32Array>,
): void {
  const specs = parameterSpecs(architecture);
  const largestNorm = Math.max(...specs.map(({ name }) => norm(golden.floats(`grad/${name}`))));
  let worst = 0;
  for (const spec of specs) {
    const wanted = golden.floats(`grad/${spec.name}`);
    const ours = fromEngineLayout(spec, results[`grad/${spec.name}`] ?? new Float32Array(0));
    if (norm(wanted) < ZERO_GRADIENT * largestNorm) {
      t.true(norm(ours) < 10 * ZERO_GRADIENT * largestNorm, `gradient of ${spec.name} is not zero`);
      continue;
    }
    const error = norm(difference(ours, wanted)) / norm(wanted);
    worst = Math.max(worst, error);
    t.true(error <= GRADIENT_TOLERANCE, `gradient of ${spec.name} is off by ${error} of its norm`);
  }
  t.log(`largest error of a gradient ${worst.toExponential(1)} of its norm`);
}
