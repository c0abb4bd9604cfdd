/** Resume tokens of the largest images, in one request. */

import test from 'ava';

import { samplerWire, samplingWire } from '../../shared/contract/index.js';
import type { PartialRecipe } from '../../shared/recipe/index.js';
import { callStream } from '../../shared/rpc/index.js';
import { fakeEngine } from '../sampler-service/fake-engine.js';
import { generate, generated, newImages, startFixture } from '../sampler-service/sampler-fixture.js';
import { commitTiny, TINY } from '../sampler-service/tiny-model.js';

const COUNT = 32;
const SIZE = 256;
const LARGE: PartialRecipe = {
  ...TINY,
  dataset: { imageSize: SIZE, channels: 3 },
  architecture: { ...TINY.architecture, channelMult: [1], attentionResolutions: [] },
};

test('the tokens of 32 images of 256 pixels with a history fit into one request [fault A21]', async (t) => {
  const fixture = await startFixture((store) => commitTiny(store, { step: 1, recipe: LARGE }), {
    engine: fakeEngine(),
  });
  t.teardown(() => fixture.close());
  const { client } = fixture;
  const request = newImages({
    count: COUNT,
    // Compressing noise would take most of the time.
    format: samplingWire.ImageFormat.IMAGE_FORMAT_RAW_FLOAT32,
    settings: {
      ...samplingWire.SamplerSettings.create(),
      sampler: samplingWire.Sampler.SAMPLER_DPMPP_2M,
      timesteps: { $case: 'steps', value: 2 },
    },
  });
  const tokens = new Map<number, Buffer>();
  for await (const { event } of generate(client, { ...request, resumeTokenEverySteps: 1 }))
    if (event?.$case === 'resumeToken') tokens.set(event.value.index, event.value.token);
  t.is(tokens.size, COUNT);
  const bytes = [...tokens.values()].reduce((sum, { length }) => sum + length, 0);
  t.true(bytes > 2 * COUNT * SIZE * SIZE * 3 * 4, 'each has x and what the solver remembers');
  const resumed = samplerWire.GenerateRequest.fromPartial({});
  const value = { request, tokens: [...tokens.values()] };
  const { images } = await generated(
    callStream(client, client.generate, { ...resumed, images: { $case: 'resumedImages', value } }),
  );
  t.is(images.size, COUNT);
});
