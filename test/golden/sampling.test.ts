/** Whole sampling loops against the reference's, every step of them. */
import { solver } from '../../shared/sampler/index.js';
import type { SamplerPlan } from '../../shared/sampler/index.js';
import { skipTest, testOnEngines } from './engines.js';
import { goldenNames } from './golden.js';
import { assertSteps, planOf, rowOf, runLoops } from './loops.js';
import { GoldenTensors } from './reference.js';

for (const name of goldenNames('sample_')) {
  const golden = new GoldenTensors(name);
  const plan = sampledPlan(golden);
  if (typeof plan === 'string') {
    skipTest(name, plan);
    continue;
  }
  testOnEngines(`every step of ${name} is the reference's`, async (t, engine) => {
    const [images = 0] = golden.shape('x_T');
    const start = golden.images('x_T');
    const noises = golden.images('noises');
    const draws = noises.length / (start.length / images);
    const states = await runLoops(engine, golden, images, (image, predict) =>
      solver({
        plan,
        predict,
        noise: (position) =>
          position === 0
            ? rowOf(start, images, image)
            : rowOf(noises, draws, (position - 1) * images + image),
      }),
    );
    for (const kind of ['samples', 'pred_xstart']) {
      assertSteps(t, plan, states, kind, golden.images(kind));
    }
  });
}

/** The loop's plan, or why it is not built. */
function sampledPlan(golden: GoldenTensors): SamplerPlan | string {
  const sampler = golden.setting('sampler');
  if (sampler !== 'ancestral' && sampler !== 'ddim') return `sampler ${sampler} is not built`;
  return planOf(golden, sampler, { eta: Number(golden.setting('eta')) });
}
