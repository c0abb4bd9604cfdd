/** A sampler service over the 8M network, and calls to it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { startService } from '../../services/cli/start-service.js';
import { samplerSettingsToWire, samplerWire } from '../../shared/contract/index.js';
import { deferred } from '../../shared/foundation/index.js';
import type { PartialRecipe, TrainingRecipe } from '../../shared/recipe/index.js';
import { callStream, connectSampler } from '../../shared/rpc/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { generateRequest } from '../sampler-service/sampler-fixture.js';
import { commitTiny } from '../sampler-service/tiny-model.js';

type Client = ReturnType<typeof connectSampler>;

export interface SmallSampler {
  readonly recipe: TrainingRecipe;
  readonly client: Client;
  readonly address: string;
  /** Of the service's process. */
  readonly pid: number;
  end(): Promise<void>;
}

/** The network of `SMALL_32` as a recipe. */
export const SMALL_RECIPE: PartialRecipe = {
  name: 'bench',
  dataset: { imageSize: 32, channels: 3 },
  architecture: {
    ...{ modelChannels: 64, numResBlocks: 2, channelMult: [1, 2, 2], attentionResolutions: [16, 8] },
    ...{ dropout: 0, numHeadChannels: 32, resblockUpdown: true },
  },
};

/** @param checkpoints How many checkpoints of the model there are. */
export async function startSmallSampler(checkpoints = 1): Promise<SmallSampler> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-'));
  const store = await openLocalStore({ folder });
  let recipe = await commitTiny(store, { step: 1, recipe: SMALL_RECIPE });
  for (let step = 2; step <= checkpoints; step++)
    recipe = await commitTiny(store, { step, recipe: SMALL_RECIPE });
  const listening = deferred<{ readonly port: number; readonly pid: number }>();
  const environment = {
    ...process.env,
    IP_DIFFUSION_STORE: folder,
    IP_DIFFUSION_SAMPLER_ADDRESS: '127.0.0.1:0',
  };
  const service = startService('sampler', environment, (line) => {
    const { port, pid } = JSON.parse(line) as { port?: number; pid: number };
    if (port !== undefined) listening.resolve({ port, pid });
  });
  const { port, pid } = await listening.promise;
  const address = `127.0.0.1:${port}`;
  const client = connectSampler(address);
  return {
    ...{ recipe, client, address, pid },
    end: async () => {
      client.close();
      service.kill();
      await service.exited;
      await store.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

interface SmallCall {
  readonly count: number;
  readonly steps: number;
  readonly priority?: samplerWire.Priority;
  readonly checkpointStep?: number;
  readonly signal?: AbortSignal;
  /** Called with each event. */
  readonly onEvent?: (event: samplerWire.GenerateResponse['event']) => void;
}

/** Samples PNG images, read to their end. */
export async function sampleSmall(client: Client, call: SmallCall): Promise<void> {
  const { count, steps, priority, checkpointStep, signal, onEvent } = call;
  const settings = { ...samplerSettingsToWire({ sampler: 'ancestral', steps }), precision: 0 } as const;
  const request = generateRequest({
    ...{ model: 'bench', count, seed: 7n, settings },
    ...(priority !== undefined && { priority }),
    ...(checkpointStep !== undefined && { checkpointStep }),
  });
  let images = 0;
  for await (const { event } of callStream(client, client.generate, request, { ...(signal && { signal }) })) {
    onEvent?.(event);
    if (event?.$case === 'image') images++;
  }
  if (images !== count) throw new Error(`wanted ${count} images; got ${images}`);
}
