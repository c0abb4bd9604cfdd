/** A sampler that answers from a script, on a real socket. */

import type { ExecutionContext } from 'ava';

import {
  checkpointWire,
  imageChunks,
  imageFormats,
  samplerWire,
  samplingWire,
  weightsToWire,
} from '../../shared/contract/index.js';
import { serverStream, unary, type CallContext } from '../../shared/rpc/index.js';
import { encodeImage } from '../../shared/images/index.js';
import { securityOf } from '../rpc/security.js';
import { JOB, listen, OPTIONS, SERVER_INFO } from './fake-service.js';

export interface FakeSampler {
  readonly address: string;
  readonly requests: samplerWire.GenerateRequest[];
  readonly encoded: samplerWire.EncodeRequest[];
  readonly loaded: samplerWire.LoadModelRequest[];
}

export interface FakeSamplerOptions {
  /** The first image of a call never comes. */
  readonly hangs?: boolean;
  /** Called before each image; what it throws ends the call. */
  readonly beforeImage?: (index: number) => void;
  /** Called with the first index of a call that ends, however. */
  readonly onEnd?: (firstIndex: number) => void;
  /** Of its checkpoints' manifests. */
  readonly manifestSha256?: string;
  /** Where it listens; default: a free port of loopback. */
  readonly address?: string;
  readonly security?: ReturnType<typeof securityOf>;
}

/** A sampler whose 8x8 images, of their index's colour, come last index first. Batch calls wait at the third place. */
export async function fakeSampler(
  t: ExecutionContext,
  options: FakeSamplerOptions = {},
): Promise<FakeSampler> {
  const { hangs = false, manifestSha256 = 'a'.repeat(64), security, address: at } = options;
  const { beforeImage = () => undefined, onEnd = () => undefined } = options;
  const requests: samplerWire.GenerateRequest[] = [];
  const encoded: samplerWire.EncodeRequest[] = [];
  const loaded: samplerWire.LoadModelRequest[] = [];
  async function* generate(
    request: samplerWire.GenerateRequest,
    { signal }: CallContext,
  ): AsyncGenerator<samplerWire.GenerateResponse> {
    requests.push(request);
    try {
      yield* answers(request, signal);
    } finally {
      onEnd(newImagesIn(request).firstIndex);
    }
  }
  async function* answers(
    request: samplerWire.GenerateRequest,
    signal: AbortSignal,
  ): AsyncGenerator<samplerWire.GenerateResponse> {
    const { count, seed, firstIndex, model, format, settings } = newImagesIn(request);
    const queued = { position: 3, expectedStart: { seconds: 90n, nanos: 0 } };
    if (request.priority === samplerWire.Priority.PRIORITY_BATCH)
      yield { event: { $case: 'queued', value: queued } };
    const checkpoint = { model, step: 5, manifestSha256 };
    const accepted = {
      checkpoint,
      weights: weightsToWire(0.9999),
      count,
      seed,
      firstIndex,
      format,
      settings,
    };
    const shape = { width: 8, height: 8, channels: 3, timesteps: [9, 4, 0] };
    yield {
      event: { $case: 'accepted', value: samplerWire.Accepted.fromPartial({ ...accepted, ...shape }) },
    };
    const progress = {
      stepsDone: 1n,
      stepsTotal: 3n,
      imagesTotal: count,
      elapsed: { seconds: 1n, nanos: 0 },
    };
    yield { event: { $case: 'progress', value: samplerWire.Progress.fromPartial(progress) } };
    for (let n = 0; n < count && request.resumeTokenEverySteps > 0; n++) {
      const token = { index: firstIndex + n, step: 1, token: Buffer.from('token') };
      yield { event: { $case: 'resumeToken', value: token } };
    }
    for (let n = count - 1; n >= 0; n--) {
      if (hangs && n === 0)
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve);
        });
      beforeImage(firstIndex + n);
      const chunks = await imageOf(firstIndex + n, format);
      for (const chunk of chunks) {
        yield { event: { $case: 'image', value: { index: firstIndex + n, seed, chunk } } };
      }
    }
    yield {
      event: {
        $case: 'completed',
        value: samplerWire.Completed.fromPartial({ images: count, imagesPerSecond: 4 }),
      },
    };
  }
  async function* encode(
    request: samplerWire.EncodeRequest,
  ): AsyncGenerator<samplerWire.EncodeResponse, void, undefined> {
    encoded.push(request);
    const count = request.images.length;
    const format = samplingWire.ImageFormat.IMAGE_FORMAT_RAW_FLOAT32;
    const accepted = { checkpoint: { model: request.model, step: 5 }, count, format };
    yield { event: { $case: 'accepted', value: samplerWire.Accepted.fromPartial(accepted) } };
    for (const index of request.images.keys())
      for (const chunk of await imageOf(index, format))
        yield { event: { $case: 'latent', value: { index, chunk } } };
    yield {
      event: { $case: 'completed', value: samplerWire.Completed.fromPartial({ images: count }) },
    };
  }
  const LOADED = samplerWire.LoadedModel.fromPartial({
    model: 'tiny',
    checkpointStep: 5,
    weights: { kind: { $case: 'raw', value: {} } },
    calls: 2,
  });
  const implementation: samplerWire.SamplerServiceServer = {
    getServerInfo: unary(() => ({ info: SERVER_INFO }), OPTIONS),
    listModels: unary(() => ({ models: [MODEL], nextPageToken: '' }), OPTIONS),
    getModel: unary(() => ({ model: MODEL }), OPTIONS),
    listCheckpoints: unary(
      () => ({ checkpoints: [contractAt(5), contractAt(3)], nextPageToken: '' }),
      OPTIONS,
    ),
    getCheckpoint: unary(({ checkpointStep = 5 }) => ({ checkpoint: contractAt(checkpointStep) }), OPTIONS),
    loadModel: unary((request) => {
      loaded.push(request);
      return { loaded: LOADED };
    }, OPTIONS),
    unloadModel: unary(() => ({ unloaded: [LOADED] }), OPTIONS),
    modelReady: unary(() => ({ ready: true, loaded: [LOADED] }), OPTIONS),
    generate: serverStream(generate, OPTIONS),
    encode: serverStream(encode, OPTIONS),
  };
  const address = await listen(
    t,
    samplerWire.SamplerServiceService,
    'diffusion.sampler.v1.SamplerService',
    implementation,
    security,
    at,
  );
  return { address, requests, encoded, loaded };
}

const MODEL = samplerWire.Model.fromPartial({
  name: 'tiny',
  latest: contractAt(5),
  checkpointSteps: [5, 3],
});

function contractAt(step: number): checkpointWire.CheckpointContract {
  const of = { model: 'tiny', step, emaRates: [0.999, 0.9999], jobId: 'job-1', recipe: JOB.recipe };
  return checkpointWire.CheckpointContract.fromPartial(of);
}

/** The new images of a request, or those that it resumes. */
export function newImagesIn(request: samplerWire.GenerateRequest | undefined): samplerWire.NewImages {
  const images = request?.images;
  const wanted = images?.$case === 'resumedImages' ? images.value.request : images?.value;
  if (wanted === undefined) throw new Error('no images are asked for');
  return wanted;
}

async function imageOf(n: number, format: samplingWire.ImageFormat): Promise<samplingWire.ImageChunk[]> {
  const [width, height, channels] = [8, 8, 3] as const;
  const name = imageFormats.read(format) === 'webp' ? 'webp' : 'png';
  const bytes = await encodeImage(
    new Uint8Array(width * height * channels).fill(n % 256),
    { width, height, channels },
    name,
  );
  return [...imageChunks({ format, width, height, channels, bytes })];
}
