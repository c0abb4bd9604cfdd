/** The sampler on a device keeps its images there, and makes the same of them alone, among others and after a resume. */
import { readSettings } from '../../services/sampler/config.js';
import { samplerWire, samplingWire } from '../../shared/contract/index.js';
import { encodeImage } from '../../shared/images/index.js';
import { callStream } from '../../shared/rpc/index.js';
import { testAll } from '../engine/pjrt/plugin-file.js';
import { generate, generated, newImages, startFixture } from '../sampler-service/sampler-fixture.js';
import { commitTiny } from '../sampler-service/tiny-model.js';

const { IMAGE_FORMAT_RAW_FLOAT32: format } = samplingWire.ImageFormat;
const { SAMPLER_ANCESTRAL, SAMPLER_DPMPP_2M } = samplingWire.Sampler;

/** An 8 x 8 picture. */
async function pictureOf(value: (e: number) => number): Promise<Buffer> {
  const pixels = Uint8Array.from({ length: 8 * 8 * 3 }, (_, e) => value(e));
  return Buffer.from(await encodeImage(pixels, { width: 8, height: 8, channels: 3 }, 'png'));
}

testAll(
  'alone, among others, with reports and after a resume an image has the same bytes on a device',
  async (t) => {
    const { engine } = readSettings({ ...process.env, IP_DIFFUSION_DEVICE: 'cpu-pjrt' });
    const onDevice = await startFixture((store) => commitTiny(store, { step: 1 }), {
      engine: { ...engine, batchSizes: [3] },
    });
    const onProcessor = await startFixture((store) => commitTiny(store, { step: 1 }));
    const { client } = onDevice;
    const inpainting = {
      image: await pictureOf((e) => (e % 4) * 60),
      mask: await pictureOf((e) => (e % 24 < 12 ? 255 : 0)),
    };
    const ofPixels = { dynamicThreshold: 0.9, varianceNormalisation: true, waveletCorrection: 0.1 };
    for (const { inpainted, ...chosen } of [
      { sampler: SAMPLER_ANCESTRAL },
      { sampler: SAMPLER_DPMPP_2M },
      { sampler: SAMPLER_ANCESTRAL, ...ofPixels, inpainted: { inpainting } },
    ]) {
      const settings = samplingWire.SamplerSettings.create({
        ...chosen,
        timesteps: { $case: 'steps', value: 9 },
      });
      const asked = { settings, format, seed: 7n, ...inpainted };
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
