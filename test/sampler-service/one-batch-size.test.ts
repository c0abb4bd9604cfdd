/** Without the engine's own kernels a row's bytes may depend on how many are beside it: so there is one number of them. */
import test from 'ava';

import { generate, generated, startFixture } from './sampler-fixture.js';
import { commitTiny } from './tiny-model.js';
import { readSettings } from '../../services/sampler/config.js';
import { samplingWire } from '../../shared/contract/index.js';

test('without kernels an image is the same alone and among others', async (t) => {
  const { engine } = readSettings(process.env);
  const environment = { ...engine.environment, IP_DIFFUSION_NATIVE_KERNELS: 'off' };
  const fixture = await startFixture((store) => commitTiny(store, { step: 1 }), {
    engine: { ...engine, environment },
  });
  const settings = samplingWire.SamplerSettings.create({ timesteps: { $case: 'steps', value: 3 } });
  const draw = (count: number) =>
    generated(
      generate(fixture.client, {
        count,
        settings,
        format: samplingWire.ImageFormat.IMAGE_FORMAT_RAW_FLOAT32,
      }),
    );
  const alone = await draw(1);
  for (const count of [2, 5, 11]) t.deepEqual((await draw(count)).images.get(0n), alone.images.get(0n));
  await fixture.close();
});
