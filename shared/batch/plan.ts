/** What a batch is to make, settled once: every worker reads it and makes the same bytes. */

import { createHash } from 'node:crypto';
import * as z from 'zod';

import { describeWeights } from '../checkpoint/index.js';
import { samplingWire } from '../contract/index.js';
import {
  countSchema,
  describeValue,
  invalidArgument,
  positiveCountSchema,
  unmet,
  uint64,
} from '../foundation/index.js';
import { weightsChoice } from '../recipe/index.js';
import { FORMAT_NAMES } from './formats.js';
import { sha256Schema } from './shard-objects.js';

/** Image indices are 32-bit. */
const INDICES = 2 ** 32;
const MAX_CLASSES = 10_000;
/** What one call of a sampler may ask for unless its settings say otherwise. */
export const MAX_SHARD_SIZE = 4096;
export const DEFAULT_SHARD_SIZE = 500;
/** A shard is held in memory, and written as one object under a condition. PNG adds next to nothing to pixels. */
const MAX_SHARD_PIXEL_BYTES = 256 * 1024 * 1024;

const sizeSchema = z.int().min(1).max(4096);

const planSchema = z.strictObject({
  formatVersion: z.literal(1),
  model: z.string().min(1).max(1024),
  checkpoint: z.strictObject({ step: countSchema, manifestSha256: sha256Schema }),
  weights: z.union([z.literal('raw'), z.number()]).refine((each) => weightsChoice.accept(each) !== undefined),
  /** A sampler's settings as it resolved them, in protobuf's JSON. */
  settings: z
    .record(z.string(), z.unknown())
    .transform((settings) => samplingWire.SamplerSettings.fromJSON(settings)),
  seed: z.string().refine((each) => uint64.accept(each) === each),
  firstIndex: countSchema.max(INDICES - 1),
  count: positiveCountSchema.max(INDICES),
  /** The classes of the images, in turn: image i has that at i modulo their number. None for a model without classes. */
  classes: z.array(countSchema).max(MAX_CLASSES),
  shardSize: z.int().min(1).max(MAX_SHARD_SIZE),
  format: z.enum(FORMAT_NAMES),
  image: z.strictObject({ width: sizeSchema, height: sizeSchema, channels: z.int().min(1).max(3) }),
});

/** Without the hash, which names it. */
export type BatchPlan = z.output<typeof planSchema>;

/** As it stands in the output: `sha256` is that of the plan's own JSON. */
export const storedPlanSchema = z
  .strictObject({ sha256: sha256Schema, plan: planSchema })
  .refine(({ sha256, plan }) => planSha256(plan) === sha256, 'the hash of the plan');

/** @throws DiffusionError INVALID_ARGUMENT naming each field that can't be. */
export function checkPlan(plan: BatchPlan): void {
  const { firstIndex, count, shardSize, image } = plan;
  const most = Math.floor(MAX_SHARD_PIXEL_BYTES / (image.width * image.height * image.channels));
  const found = unmet((demand) => {
    demand(firstIndex + count <= INDICES, 'count', `at most ${INDICES - firstIndex} from there on`, count);
    const wanted = `at most ${most} images of ${image.width}x${image.height}`;
    demand(Math.min(count, shardSize) <= most, 'shard_size', wanted, shardSize);
  });
  if (found.length > 0) throw invalidArgument(found);
}

/** The plan as JSON: equal plans give equal text, so the order is set here. */
function planJson(plan: BatchPlan): object {
  const { formatVersion, model, checkpoint, weights, seed, firstIndex, count, classes } = plan;
  const { shardSize, format, image } = plan;
  return {
    ...{ formatVersion, model },
    checkpoint: { step: checkpoint.step, manifestSha256: checkpoint.manifestSha256 },
    weights,
    settings: samplingWire.SamplerSettings.toJSON(plan.settings),
    ...{ seed, firstIndex, count, classes, shardSize, format },
    image: { width: image.width, height: image.height, channels: image.channels },
  };
}

export function planSha256(plan: BatchPlan): string {
  return createHash('sha256')
    .update(JSON.stringify(planJson(plan)))
    .digest('hex');
}

/** What is stored as `plan.json`. */
export function planBytes(plan: BatchPlan): Uint8Array {
  const content = { sha256: planSha256(plan), plan: planJson(plan) };
  return Buffer.from(`${JSON.stringify(content, undefined, 2)}\n`);
}

/** In which fields two plans differ, each as `settings.steps: the output has 80; asked for 50`. */
export function planDifferences(stored: BatchPlan, asked: BatchPlan): string[] {
  const [there, here] = [leavesOf(planJson(stored)), leavesOf(planJson(asked))];
  return [...new Set([...there.keys(), ...here.keys()])]
    .filter((path) => there.get(path) !== here.get(path))
    .map(
      (path) => `${path}: the output has ${there.get(path) ?? 'none'}; asked for ${here.get(path) ?? 'none'}`,
    );
}

function leavesOf(value: object, prefix = ''): Map<string, string> {
  return new Map(
    Object.entries(value).flatMap(([key, inner]: [string, unknown]): [string, string][] =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? [...leavesOf(inner, `${prefix}${key}.`)]
        : [[`${prefix}${key}`, describeValue(inner)]],
    ),
  );
}

/** What the images are made with, in a few words. */
export function describePlan({ model, checkpoint, weights, count, image, shardSize }: BatchPlan): string {
  const which = `${model} at step ${checkpoint.step}, ${describeWeights(weights)}`;
  return `${count} images of ${image.width}x${image.height} in shards of ${shardSize} from ${which}`;
}

/** The images of one shard: their indices from `first` on. */
export interface ShardRange {
  readonly shard: number;
  readonly first: number;
  readonly count: number;
}

export function shardCount({ count, shardSize }: Pick<BatchPlan, 'count' | 'shardSize'>): number {
  return Math.ceil(count / shardSize);
}

export function shardRange({ firstIndex, count, shardSize }: BatchPlan, shard: number): ShardRange {
  const done = shard * shardSize;
  return { shard, first: firstIndex + done, count: Math.min(shardSize, count - done) };
}

/** How many images the shards have. */
export function imagesOf(plan: BatchPlan, shards: readonly number[]): number {
  return shards.reduce((sum, shard) => sum + shardRange(plan, shard).count, 0);
}

/** A worker's own part of a batch: shards `index`, `index + of`, `index + 2 of`, ... */
export interface BatchPart {
  readonly index: number;
  readonly of: number;
}

export function shardsOf(plan: BatchPlan, { index, of }: BatchPart = { index: 0, of: 1 }): number[] {
  return Array.from({ length: shardCount(plan) }, (_, shard) => shard).filter(
    (shard) => shard % of === index,
  );
}

/** The class of an image; undefined for a model without classes. */
export function classOf({ classes }: BatchPlan, index: number): number | undefined {
  return classes[index % classes.length];
}
