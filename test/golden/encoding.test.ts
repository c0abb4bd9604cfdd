/** DDIM encoding against the reference's, every step of it. */
import { encode } from '../../shared/sampler/index.js';
import { skipTest, testOnEngines } from './engines.js';
import { goldenNames } from './golden.js';
import { assertSteps, planOf, rowOf, runLoops } from './loops.js';
import { GoldenTensors } from './reference.js';

for (const name of goldenNames('ddim_reverse_')) {
  const golden = new GoldenTensors(name);
  const plan = planOf(golden, 'ddim', { eta: Number(golden.setting('eta')) });
  if (typeof plan === 'string') {
    skipTest(name, plan);
    continue;
  }
  testOnEngines(`every step of ${name} is the reference's`, async (t, engine) => {
    const [images = 0] = golden.shape('x_start');
    const xStarts = golden.images('x_start');
    const states = await runLoops(engine, golden, images, (image, predict) =>
      encode({
        plan,
        predict,
        noise: () => t.fail('encoding draws noise'),
        start: { kind: 'image', xStart: rowOf(xStarts, images, image), skippedSteps: 0 },
      }),
    );
    assertSteps(t, plan, states, 'encoded', golden.images('encoded'));
  });
}
