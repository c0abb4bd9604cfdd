/** The sampler on a device keeps its images there, and makes the same of them alone, among others and after a resume. */
import { readSettings } from '../../services/sampler/config.js';
import { samplerWire, samplingWire } from '../../shared/contract/index.js';
import { callStream } from '../../shared/rpc/index.js';
import { testAll } from '../engine/pjrt/plugin-file.js';
import { generate, generated, newImages, startFixture } from '../sampler-service/sampler-fixture.js';
import { commitTiny } from '../sampler-service/tiny-model.js';

const { IMAGE_FORMAT_RAW_FLOAT32: format } = samplingWire.ImageFormat;
const { SAMPLER_ANCESTRAL, SAMPLER_DPMPP_2M } = samplingWire.Sampler;

testAll(
  'alone, among others, with reports and after a resume an image has the same bytes on a device',
  async (t) => {
    const { engine } = readSettings({ ...process.env, IP_DIFFUSION_DEVICE: 'cpu-pjrt' });
    const onDevice = await startFixture((store) => commitTiny(store, { step: 1 }), {
      engine: { ...engine, batchSizes: [3] },
    });
    const onProcessor = await startFixture((store) => commitTiny(store, { step: 1 }));
    const { client } = onDevice;
    for (const sampler of [SAMPLER_ANCESTRAL, SAMPLER_DPMPP_2M]) {
      const settings = samplingWire.SamplerSettings.create({
        sampler,
        timesteps: { $case: 'steps', value: 9 },
      });
      const asked = { settings, format, seed: 7n };
      const alone = await generated(generate(client, { ...asked, count: 1, firstIndex: 2 }));
      const [among] = await Promise.all([
        generated(generate(client, { ...asked, count: 5, previewEverySteps: 3 })),
        generated(generate(client, { ...asked, count: 4, seed: 8n })),
      ]);
      t.deepEqual(among.images.get(2), alone.images.get(2));
      t.true(among.previews.length > 0);

      let token: Buffer | undefined;
      for await (const { event } of generate(client, { ...asked, count: 3, resumeTokenEverySteps: 4 }))
        if (event?.$case === 'resumeToken' && event.value.index === 2) token ??= event.value.token;
      const request = newImages({ ...asked, count: 3 });
      const value = { request, tokens: [token ?? Buffer.alloc(0)] };
      const resumed = samplerWire.GenerateRequest.create({ images: { $case: 'resumedImages', value } });
      const rest = await generated(callStream(client, client.generate, resumed, {}));
      t.deepEqual(rest.images.get(2), alone.images.get(2));

      // The same noise and the same steps as on a processor.
      const wanted = await generated(generate(onProcessor.client, { ...asked, count: 1, firstIndex: 2 }));
      const [got, reference] = [alone, wanted].map(({ images }) => {
        const bytes = new Uint8Array(images.get(2) ?? []);
        return new Float32Array(bytes.buffer);
      });
      t.true(got?.every((each, e) => Math.abs(each - (reference?.[e] ?? NaN)) < 1e-3));
    }
    await onProcessor.close();
    await onDevice.close();
  },
);
