/**
 * The pipelines as Temporal runs them: what is done, in which order, and again after which failure. This file is bundled
 * for Temporal's sandbox, so it imports Temporal's package and types alone.
 */

import {
  ActivityCancellationType,
  ApplicationFailure,
  continueAsNew,
  defineQuery,
  executeChild,
  isCancellation,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';

import type {
  Activities,
  ImagesInput,
  ImagesResult,
  MeasuredInput,
  MeasuredResult,
  PipelineProgress,
  SweepInput,
  SweepResult,
  VariantResult,
} from './pipelines.js';

/** Shards of one run, whose history is kept in memory; further ones are the next run's. */
const SHARDS_AT_ONCE = 300;

const options = {
  // A worker that is killed or hangs is noticed by its missing heartbeats.
  heartbeatTimeout: '30s',
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry: { initialInterval: '1s', maximumInterval: '1m' },
} as const;

const { makePlan, findMissing, makeShard, writeReport } = proxyActivities<Activities>({
  ...options,
  startToCloseTimeout: '6h',
});
const { measureImages } = proxyActivities<Activities>({
  ...options,
  startToCloseTimeout: '24h',
  retry: { ...options.retry, maximumAttempts: 5 },
});
const { trainModel } = proxyActivities<Activities>({ ...options, startToCloseTimeout: '60 days' });

const progressQuery = defineQuery<PipelineProgress>('progress');

/** All images of a batch: the shards that are missing, by whichever workers there are. */
export async function generateImages(input: ImagesInput): Promise<ImagesResult> {
  const { out, batch, isPlanned } = input;
  let progress: PipelineProgress = { stage: 'planning', done: 0, total: 0, children: [] };
  setHandler(progressQuery, () => progress);
  const shards = Math.ceil(batch.count / batch.shardSize);
  if (isPlanned === undefined) await makePlan({ out, batch });
  const { missing, done } = await findMissing({ out, limit: SHARDS_AT_ONCE });
  progress = { stage: 'sampling', done, total: batch.count, children: [] };
  await Promise.all(
    missing.map(async (shard) => {
      await makeShard({ out, shard });
      const images = Math.min(batch.shardSize, batch.count - shard * batch.shardSize);
      progress = { ...progress, done: progress.done + images };
    }),
  );
  // A full list may not have been all; and what was removed meanwhile is made again.
  if (missing.length > 0) return continueAsNew<typeof generateImages>({ ...input, isPlanned: true });
  return { out, images: batch.count, shards };
}

/** A batch, its figures, and a report of them in its output. */
export async function generateAndMeasure({ quality, ...input }: MeasuredInput): Promise<MeasuredResult> {
  const imagesId = `${workflowInfo().workflowId}-images`;
  let progress: PipelineProgress = { stage: 'sampling', done: 0, total: 0, children: [imagesId] };
  setHandler(progressQuery, () => progress);
  const result = await executeChild(generateImages, { workflowId: imagesId, args: [input] });
  const { images } = result;
  progress = { stage: 'measuring', done: images, total: images, children: [] };
  const measured = await measureImages({ out: input.out, quality });
  const { model, checkpointStep } = input.batch;
  const variant = {
    name: model,
    model,
    ...(checkpointStep !== undefined && { step: checkpointStep }),
    measured,
  };
  await writeReport({ out: input.out, title: model, variants: [variant] });
  return { ...result, measured };
}

/** A model for each recipe, its images and their figures, and a table of all. One that fails doesn't end the others. */
export async function sweepRecipes({ out, variants, batch, quality }: SweepInput): Promise<SweepResult> {
  const { workflowId } = workflowInfo();
  const children = new Set<string>();
  let trained = 0;
  setHandler(progressQuery, () => ({
    stage: trained < variants.length ? `training (${trained} of ${variants.length} are trained)` : 'sampling',
    done: 0,
    total: batch.count * variants.length,
    children: [...children],
  }));

  async function variantOf(name: string, recipe: object): Promise<VariantResult> {
    const { model, step } = await trainModel({ recipe, requestId: `${workflowId}-${name}`.slice(-64) });
    trained += 1;
    const childId = `${workflowId}-${name}`;
    children.add(childId);
    const { measured } = await executeChild(generateAndMeasure, {
      workflowId: childId,
      args: [{ out: `${out}/${name}`, batch: { ...batch, model, checkpointStep: step }, quality }],
    });
    return { name, model, step, measured };
  }

  const results = await Promise.all(
    variants.map(async ({ name, recipe }): Promise<VariantResult> => {
      try {
        return await variantOf(name, recipe);
      } catch (error) {
        if (isCancellation(error)) throw error;
        return { name, failure: reasonOf(error) };
      }
    }),
  );
  const ranked = results.toSorted((a, b) => figureOf(a) - figureOf(b));
  await writeReport({ out, title: 'Sweep', variants: ranked });
  return { out, variants: ranked };
}

/** The first measure, so that the smallest figure is the best. */
function figureOf({ measured }: VariantResult): number {
  const first = measured?.[0];
  if (first === undefined) return Infinity;
  return first.better === 'lower' ? first.value : -first.value;
}

/** Temporal wraps what an activity or a child failed with. */
function reasonOf(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause !== undefined) inner = inner.cause;
  if (inner instanceof ApplicationFailure) return `${inner.type ?? 'failed'}: ${inner.message}`;
  return inner instanceof Error ? inner.message : String(inner);
}
