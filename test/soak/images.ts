/** Sampling calls of a soak run; a call that is broken off is resumed by its tokens. */

import { createHash } from 'node:crypto';

import { ImageAssembly, samplerSettingsToWire, samplerWire } from '../../shared/contract/index.js';
import { DiffusionError, pause } from '../../shared/foundation/index.js';
import { deriveKey, randomStream, type RandomStream } from '../../shared/random/index.js';
import { callStream } from '../../shared/rpc/index.js';
import { newImages } from '../sampler-service/sampler-fixture.js';
import type { Workload } from './jobs.js';

type Client = ReturnType<Workload['world']['samplerClient']>;

const SAMPLERS = ['ancestral', 'ddim', 'dpmpp_2m'] as const;
const SEEDS = 4;
const TOKEN_EVERY = 3;
const CALL_MS = 60_000;
const AGAIN_MS = 300;

/** A model that images are sampled from, and the recipe of the job that trained it. */
export interface SampledModel {
  readonly model: string;
  readonly recipe: string;
  /** Undefined for the newest one. */
  readonly checkpointStep?: number;
}

/** Samples images, one call after another, until the signal aborts. @param models Those that there are now. */
export async function sampleImages(
  load: Workload,
  caller: number,
  models: () => readonly SampledModel[],
  until: AbortSignal,
): Promise<void> {
  const draw = randomStream(deriveKey(load.seed, 'soak/images'), [caller]);
  const client = load.world.samplerClient();
  while (!until.aborted && !load.signal.aborted) {
    const choice = models();
    const model = choice[draw.integer(choice.length)];
    if (model === undefined) throw new Error('there is no model to sample from');
    await sampleOnce(load, client, model, draw);
    await pause(AGAIN_MS * draw.integer(4), until);
  }
  client.close();
}

/** One call, and others that resume what it left unfinished. */
export async function sampleOnce(
  load: Workload,
  client: Client,
  { model, recipe, checkpointStep }: SampledModel,
  draw: RandomStream,
): Promise<void> {
  const sampler = SAMPLERS[draw.integer(SAMPLERS.length)] ?? 'ddim';
  const steps = 6 + 6 * draw.integer(2);
  const request = newImages({
    ...{ model, count: 1 + draw.integer(3), seed: BigInt(draw.integer(SEEDS)) },
    settings: { ...samplerSettingsToWire({ sampler, steps }), precision: 0 },
    ...(checkpointStep !== undefined && { checkpointStep }),
  });
  const tokens = new Map<number, Buffer>();
  const done = new Set<number>();
  const settings = `${sampler} in ${steps} steps, seed ${request.seed}`;
  let images: samplerWire.GenerateRequest['images'] = { $case: 'newImages', value: request };
  for (let tries = 0; tries < 4; tries++) {
    try {
      await readImages(load, client, images, { model, recipe, settings, tokens, done });
      return;
    } catch (error) {
      if (!(error instanceof DiffusionError)) throw error;
    }
    await pause(AGAIN_MS);
    const unfinished = [...tokens].filter(([index]) => !done.has(index)).map(([, token]) => token);
    if (unfinished.length > 0) images = { $case: 'resumedImages', value: { request, tokens: unfinished } };
  }
}

interface Reading {
  readonly model: string;
  readonly recipe: string;
  readonly settings: string;
  /** The newest token of each image, and the images that are done; both are filled. */
  readonly tokens: Map<number, Buffer>;
  readonly done: Set<number>;
}

async function readImages(
  { recorder, signal }: Workload,
  client: Client,
  images: samplerWire.GenerateRequest['images'],
  { model, recipe, settings, tokens, done }: Reading,
): Promise<void> {
  const request = {
    ...samplerWire.GenerateRequest.create({ resumeTokenEverySteps: TOKEN_EVERY }),
    images,
  };
  const assemblies = new Map<number, ImageAssembly>();
  let step = 0;
  const method = images?.$case === 'resumedImages' ? 'Generate (resumed)' : 'Generate';
  const read = async (): Promise<void> => {
    const limits = { signal, timeoutMs: CALL_MS };
    for await (const { event } of callStream(client, client.generate, request, limits)) {
      if (event?.$case === 'accepted') step = event.value.checkpoint?.step ?? 0;
      if (event?.$case === 'resumeToken') tokens.set(event.value.index, event.value.token);
      if (event?.$case !== 'image') continue;
      const { index, chunk } = event.value;
      const assembly = assemblies.get(index) ?? new ImageAssembly();
      assemblies.set(index, assembly);
      const bytes = chunk && assembly.add(chunk);
      if (bytes === undefined) continue;
      done.add(index);
      const of = `image ${index} of ${recipe} at step ${step}, ${settings}`;
      recorder.add({ kind: 'image', of, sha256: createHash('sha256').update(bytes).digest('hex') });
    }
  };
  await recorder.call(method, read, { model });
}
