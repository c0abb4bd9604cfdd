/** Bits per dimension and its terms against the reference's. */
import test from 'ava';
import type { ExecutionContext } from 'ava';
import { parameterSpecs } from '../../shared/model/index.js';
import { imageLikelihoods, likelihoodFunction, type LikelihoodConfig } from '../../shared/training/index.js';
import { testOnEngines } from './engines.js';
import { goldenNames } from './golden.js';
import {
  engineParameters,
  GoldenTensors,
  isMeanType,
  isVarianceType,
  processOf,
  unetConfigOf,
  withModule,
} from './reference.js';

const TOLERANCE = 1e-3;
/** More than the steps of an image, and no multiple of them. */
const BATCH_SIZE = 32;

for (const name of goldenNames('bpd')) {
  testOnEngines(`the likelihood of ${name} is the reference's`, async (t, engine) => {
    const golden = new GoldenTensors(name);
    const architecture = unetConfigOf(golden);
    const [meanType, varianceType] = [golden.setting('mean_type'), golden.setting('variance_type')];
    if (!isMeanType(meanType) || !isVarianceType(varianceType)) throw new Error(`${name}: unknown types`);
    const config: LikelihoodConfig = { architecture, objective: { meanType, varianceType }, process: processOf(golden) };
    const [count = 0, steps = 0] = golden.shape('vb');
    const xStart = golden.images('x_start');
    const length = xStart.length / count;
    const noises = golden.images('noises');
    const module = {
      variables: parameterSpecs(architecture).map((spec) => ({ name: spec.name, shape: spec.engineShape })),
      functions: { likelihood: likelihoodFunction(config, BATCH_SIZE) },
    };
    await withModule(engine, module, async (loaded) => {
      await loaded.assign(engineParameters(golden));
      const images = imageLikelihoods((inputs) => loaded.run('likelihood', inputs), BATCH_SIZE, config, {
        count,
        image: (index) => Promise.resolve(xStart.slice(index * length, (index + 1) * length)),
        noise: (index, step) => {
          const start = ((steps - 1 - step) * count + index) * length;
          return noises.slice(start, start + length);
        },
      });
      let n = 0;
      for await (const { total, prior, ...terms } of images) {
        check(t, `total_bpd[${n}]`, total, golden.floats('total_bpd')[n] ?? NaN);
        check(t, `prior_bpd[${n}]`, prior, golden.floats('prior_bpd')[n] ?? NaN);
        for (const [ours, theirs] of [
          [terms.vb, 'vb'],
          [terms.xStartMse, 'xstart_mse'],
          [terms.mse, 'mse'],
        ] as const) {
          // Theirs begin with the largest timestep.
          ours.forEach((value, step) => {
            check(t, `${theirs}[${n}, ${step}]`, value, golden.floats(theirs)[n * steps + steps - 1 - step] ?? NaN);
          });
        }
        n += 1;
      }
      t.is(n, count);
    });
  });
}

function check(t: ExecutionContext, what: string, ours: number, wanted: number): void {
  const error = Math.abs(ours - wanted) / Math.abs(wanted);
  t.true(error <= TOLERANCE, `${what}: ${ours} for ${wanted}, an error of ${error}`);
}

test('golden data has a likelihood', (t) => {
  t.true(goldenNames('bpd').length > 0);
});
