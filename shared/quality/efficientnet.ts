/** Features by EfficientNet-Lite0, for people without the reference's graph. Its distance is never called FID. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createCompiledEngine, type LoadedModule } from '../engine/index.js';
import { DiffusionError } from '../foundation/index.js';
import type { ImageShape } from '../images/index.js';
import { openTensorFile } from '../interchange/index.js';
import { EFFICIENTNET_PACKAGE, efficientnetPath } from './efficientnet-file.js';
import { efficientnetModule, efficientnetWeights, INPUT_SIZE } from './efficientnet-network.js';
import type { Extractor } from './extractor.js';
import { sizeOf, type ImageBatch } from './image-set.js';

const BATCH = 32;
/** Names the way from pixels to features; change it with the way. */
const RECIPE = 'bilinear to 224x224, half-pixel centres, (x - 127) / 128, pooled features, v1';
const REMEDY = 'npm run setup -- --extractor';

/**
 * @param cacheFolder Where set-up has put the weights.
 * @throws DiffusionError NOT_FOUND (reason EXTRACTOR_NOT_FOUND) where they aren't there or are damaged;
 * FAILED_PRECONDITION (ENGINE_START).
 */
export async function openEfficientnet(cacheFolder: string): Promise<Extractor> {
  const weights = await weightsIn(cacheFolder);
  const engine = await createCompiledEngine();
  let loaded: { readonly size: string; readonly module: LoadedModule } | undefined;

  async function moduleFor(shape: ImageShape): Promise<LoadedModule> {
    const size = sizeOf(shape);
    if (loaded?.size === size) return loaded.module;
    if (Math.max(shape.width, shape.height) > INPUT_SIZE) {
      const wanted = `images of at most ${INPUT_SIZE}x${INPUT_SIZE}, which it enlarges but doesn't shrink`;
      throw new DiffusionError('EXTRACTOR_UNSUITED', `efficientnet: wanted ${wanted}; got ${size}`);
    }
    await loaded?.module.dispose();
    const module = await engine.load(efficientnetModule(BATCH, shape));
    await module.assign(weights);
    loaded = { size, module };
    return module;
  }

  return {
    name: 'efficientnet',
    names: { frechet: 'FD-EfficientNet', kernel: 'KD-EfficientNet' },
    hash: createHash('sha256').update(`${EFFICIENTNET_PACKAGE.sha256}\n${RECIPE}`).digest('hex'),
    batchSize: BATCH,
    extract: async ({ count, shape, pixels }: ImageBatch) => {
      const module = await moduleFor(shape);
      // The last batch is filled up: a compiled function has one shape.
      const images = new Uint8Array((pixels.length / count) * BATCH);
      images.set(pixels);
      const { pooled = new Float32Array() } = await module.run('features', { images });
      return { pooled: pooled.subarray(0, (pooled.length / BATCH) * count) };
    },
    close: () => {
      void loaded?.module.dispose();
    },
  };
}

async function weightsIn(cacheFolder: string): Promise<Map<string, Float32Array>> {
  const path = efficientnetPath(cacheFolder);
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw missing(`it is not at ${path}`, cause);
  });
  if (createHash('sha256').update(bytes).digest('hex') !== EFFICIENTNET_PACKAGE.sha256)
    throw missing(`${path} is damaged`);
  const read = (into: Uint8Array, position: number): Promise<void> => {
    into.set(bytes.subarray(position, position + into.length));
    return Promise.resolve();
  };
  return efficientnetWeights(await openTensorFile({ size: bytes.length, read }));
}

function missing(text: string, cause?: unknown): DiffusionError {
  const message = `wanted the weights of EfficientNet-Lite0; ${text}`;
  return new DiffusionError('EXTRACTOR_NOT_FOUND', message, { cause, metadata: { remedy: REMEDY } });
}
