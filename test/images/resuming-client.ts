/** A client that loses no image to a replica's restart: it goes on at another replica, by resume token where it has one. */
import { samplerWire, samplingWire } from '../../shared/contract/index.js';
import { fromServiceError } from '../../shared/rpc/index.js';
import { callStream, type connectSampler } from '../../shared/rpc/index.js';
import { pause } from '../../shared/foundation/index.js';

type Client = ReturnType<typeof connectSampler>;

export interface Sampled {
  readonly image: Buffer;
  /** Calls that a restart ended, and how many of them went on from a token. */
  readonly interrupted: number;
  readonly resumed: number;
}

const RETRY_MS = 200;
const MAX_TRIES = 300;

/** One image of a model. @throws DiffusionError for any failure but that a replica is away. */
export async function sampleImage(
  clients: readonly Client[],
  first: number,
  asked: { readonly model: string; readonly seed: bigint; readonly steps: number },
): Promise<Sampled> {
  const request = samplerWire.NewImages.create({
    model: asked.model,
    count: 1,
    seed: asked.seed,
    format: samplingWire.ImageFormat.IMAGE_FORMAT_RAW_FLOAT32,
    settings: samplingWire.SamplerSettings.create({ timesteps: { $case: 'steps', value: asked.steps } }),
  });
  let token: Buffer | undefined;
  let [interrupted, resumed] = [0, 0];
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const client = clients[(first + attempt) % clients.length] as Client;
    const images: samplerWire.GenerateRequest['images'] =
      token === undefined
        ? { $case: 'newImages', value: request }
        : { $case: 'resumedImages', value: { request, tokens: [token] } };
    const parts: Buffer[] = [];
    try {
      const call = { ...samplerWire.GenerateRequest.create({ resumeTokenEverySteps: 1 }), images };
      if (token !== undefined) resumed += 1;
      for await (const { event } of callStream(client, client.generate, call)) {
        if (event?.$case === 'resumeToken') token = event.value.token;
        if (event?.$case === 'image') parts.push(event.value.chunk?.data ?? Buffer.alloc(0));
        if (event?.$case === 'completed') return { image: Buffer.concat(parts), interrupted, resumed };
      }
    } catch (error) {
      const { code } = fromServiceError(error);
      if (code !== 'UNAVAILABLE') throw error;
      interrupted += 1;
      await pause(RETRY_MS);
    }
  }
  throw new Error(`no replica served seed ${asked.seed} in ${MAX_TRIES} tries`);
}
