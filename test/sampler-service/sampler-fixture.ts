/** A sampler service on a free port over a store of its own, and the client's side of a generation. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { readSettings, type SamplerServiceSettings } from '../../services/sampler/config.js';
import { startSampler } from '../../services/sampler/start-sampler.js';
import {
  callStream,
  connectSampler,
  serviceLog,
  type CallLimits,
  type RunningService,
} from '../../shared/rpc/index.js';
import { ImageAssembly, samplerWire } from '../../shared/contract/index.js';
import { openLocalStore, type ObjectStore } from '../../shared/store/index.js';

export interface SamplerFixture {
  readonly folder: string;
  readonly store: ObjectStore;
  readonly service: RunningService;
  readonly client: samplerWire.SamplerServiceClient;
  close(): Promise<void>;
}

export async function startFixture(
  prepare: (store: ObjectStore) => Promise<unknown>,
  settings: Partial<SamplerServiceSettings> = {},
): Promise<SamplerFixture> {
  const folder = await mkdtemp(join(tmpdir(), 'sampler-test-'));
  // What measurements prepare; the engine's own files stay where set-up has put them.
  const cache = await mkdtemp(join(tmpdir(), 'sampler-test-cache-'));
  const store = await openLocalStore({ folder });
  await prepare(store);
  const read = readSettings({
    ...process.env,
    ...{ IP_DIFFUSION_STORE: folder, IP_DIFFUSION_DATASET_CACHE: cache },
  });
  const measurements = { ...read.measurements, cacheFolder: cache };
  const service = await startSampler(
    { ...read, measurements, address: '127.0.0.1:0', ...settings },
    serviceLog('sampler-test', 'silent'),
  );
  const client = connectSampler(`127.0.0.1:${service.port}`);
  return {
    folder,
    store,
    service,
    client,
    close: async () => {
      client.close();
      await service.stop();
      await store.close();
      for (const own of [folder, cache]) await rm(own, { recursive: true });
    },
  };
}

type Reports = Pick<
  samplerWire.GenerateRequest,
  'previewEverySteps' | 'trajectoryEverySteps' | 'resumeTokenEverySteps' | 'priority'
>;

/** What a test asks for: new images, and what is reported of them. */
export type Asked = Partial<samplerWire.NewImages & Reports>;

export function newImages(fields: Partial<samplerWire.NewImages> = {}): samplerWire.NewImages {
  return { ...samplerWire.NewImages.create({ model: 'tiny', count: 1 }), ...fields };
}

export function generateRequest(asked: Asked): samplerWire.GenerateRequest {
  const { previewEverySteps = 0, trajectoryEverySteps = 0, resumeTokenEverySteps = 0, ...rest } = asked;
  const { priority = samplerWire.Priority.PRIORITY_UNSPECIFIED, ...fields } = rest;
  return {
    images: { $case: 'newImages', value: newImages(fields) },
    ...{ previewEverySteps, trajectoryEverySteps, resumeTokenEverySteps, priority },
  };
}

export function generate(
  client: samplerWire.SamplerServiceClient,
  asked: Asked,
  limits: CallLimits = {},
): AsyncGenerator<samplerWire.GenerateResponse> {
  return callStream(client, client.generate, generateRequest(asked), limits);
}

export interface Generated {
  readonly accepted: samplerWire.Accepted;
  readonly completed: samplerWire.Completed;
  readonly progress: readonly samplerWire.Progress[];
  readonly previews: readonly samplerWire.Preview[];
  /** Bytes by rising index, put together from verified chunks. */
  readonly images: ReadonlyMap<number, Buffer>;
  /** The kinds of all messages, in order. */
  readonly order: readonly string[];
}

/** Reads a generation to its end. */
export async function generated(stream: AsyncIterable<samplerWire.GenerateResponse>): Promise<Generated> {
  const order: string[] = [];
  const progress: samplerWire.Progress[] = [];
  const previews: samplerWire.Preview[] = [];
  const assemblies = new Map<number, ImageAssembly>();
  const images = new Map<number, Buffer>();
  let accepted: samplerWire.Accepted | undefined;
  let completed: samplerWire.Completed | undefined;
  for await (const { event } of stream) {
    if (event === undefined) throw new Error('a message without an event');
    order.push(event.$case);
    switch (event.$case) {
      case 'accepted':
        accepted = event.value;
        break;
      case 'progress':
        progress.push(event.value);
        break;
      case 'preview':
        previews.push(event.value);
        break;
      case 'completed':
        completed = event.value;
        break;
      case 'image': {
        const { index, chunk } = event.value;
        const assembly = assemblies.get(index) ?? new ImageAssembly();
        assemblies.set(index, assembly);
        const bytes = chunk && assembly.add(chunk);
        if (bytes !== undefined) images.set(index, bytes);
      }
    }
  }
  if (accepted === undefined || completed === undefined)
    throw new Error(`not a whole stream: ${order.join(' ')}`);
  const sorted = new Map([...images].sort(([a], [b]) => a - b));
  return { accepted, completed, progress, previews, images: sorted, order };
}
