/** The images of one shard from the samplers of a pool. */

import { ImageAssembly, imageFormats, samplerWire, weightsToWire, type Priority } from '../contract/index.js';
import { DiffusionError } from '../foundation/index.js';
import { callStream } from '../rpc/index.js';
import { batchRequest, classesFor } from './make-plan.js';
import type { BatchPlan, ShardRange } from './plan.js';
import type { PooledSampler, SamplerPool } from './sampler-pool.js';
import type { BatchImage } from './shard-format.js';

export interface GenerateOptions {
  readonly priority: Priority;
  readonly signal: AbortSignal;
  /** Called for each image as it comes. */
  readonly onImage: () => void;
}

/**
 * All images of a shard, in order. Where a call breaks off, what has come is kept, and the rest asked for again.
 *
 * @throws DiffusionError as `SamplerPool.use`; FAILED_PRECONDITION (reason BATCH_DIFFERS) for a sampler that has another
 * checkpoint under this name and step.
 */
export async function generateShard(
  pool: SamplerPool,
  plan: BatchPlan,
  { first, count }: ShardRange,
  options: GenerateOptions,
): Promise<BatchImage[]> {
  const images = new Map<number, Uint8Array>();
  const missing = (): number[] =>
    Array.from({ length: count }, (_, i) => first + i).filter((index) => !images.has(index));
  while (images.size < count) {
    await pool.use(options.signal, (sampler) => receive(sampler, plan, missing(), images, options));
  }
  return [...images].map(([index, bytes]) => ({ index, bytes })).sort((a, b) => a.index - b.index);
}

/** @param wanted Indices, rising. They come with those between them, which are left out where they are there already. */
async function receive(
  { client, address, answered }: PooledSampler,
  plan: BatchPlan,
  wanted: readonly number[],
  images: Map<number, Uint8Array>,
  { priority, signal, onImage }: GenerateOptions,
): Promise<void> {
  const [first = 0, last = first] = [wanted[0], wanted.at(-1)];
  const count = last - first + 1;
  const request = samplerWire.NewImages.fromPartial({
    ...{ model: plan.model, checkpointStep: plan.checkpoint.step, weights: weightsToWire(plan.weights) },
    ...{ seed: BigInt(plan.seed), firstIndex: first, count, settings: plan.settings },
    ...{ classes: classesFor(plan.classes, first, count), format: imageFormats.write('png') },
  });
  const parts = new Map<number, ImageAssembly>();
  const stream = callStream(client, client.generate, batchRequest(request, priority), { signal });
  for await (const { event } of stream) {
    answered();
    if (event?.$case === 'accepted') checkSame(plan, event.value, address);
    if (event?.$case !== 'image') continue;
    const { index, chunk } = event.value;
    if (chunk === undefined || index < first || index > last)
      throw new DiffusionError('ANSWER_UNKNOWN', `${address} sent image ${index}, which wasn't asked for`);
    const assembly = parts.get(index) ?? new ImageAssembly();
    parts.set(index, assembly);
    const bytes = assembly.add(chunk);
    if (bytes === undefined) continue;
    parts.delete(index);
    if (images.has(index)) continue;
    images.set(index, bytes);
    onImage();
  }
  const left = wanted.filter((index) => !images.has(index)).length;
  if (left > 0)
    throw new DiffusionError('ANSWER_UNKNOWN', `${address} ended a call with ${left} images missing`);
}

/** Another store may have another model of the same name: its images don't belong here. */
function checkSame({ model, checkpoint }: BatchPlan, accepted: samplerWire.Accepted, address: string): void {
  const { step, manifestSha256 } = checkpoint;
  const found = accepted.checkpoint?.manifestSha256;
  if (found === manifestSha256) return;
  const text = `${address} has another checkpoint of ${model} at step ${step}: wanted manifest ${manifestSha256}; got ${found ?? 'none'}`;
  throw new DiffusionError('BATCH_DIFFERS', text);
}
