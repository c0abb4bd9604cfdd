/** A job, and its events. */

import * as z from 'zod';

import { JOB_STATES, STORE_CHANGES, type JobState } from '../../shared/contract/index.js';
import { countSchema, WIRE_REASONS, type WireReason } from '../../shared/foundation/index.js';
import type { TrainingRecipe } from '../../shared/recipe/index.js';
import type { GridImage } from '../../shared/training/index.js';

/** Why a job failed. */
export const failureReasonSchema = z.enum(Object.keys(WIRE_REASONS) as WireReason[]);

/** The metrics of one optimizer step; means over its images. */
export const stepMetricsSchema = z.object({
  /** Optimizer steps done. */
  step: countSchema,
  totalSteps: countSchema,
  loss: z.number(),
  mse: z.number(),
  vlb: z.number().exactOptional(),
  gradientPenalty: z.number().exactOptional(),
  gradNorm: z.number(),
  paramNorm: z.number(),
  learningRate: z.number(),
  gamma: z.number(),
  inputNoiseVariance: z.number(),
  /** Missing in what earlier versions stored. */
  timestepsWeighted: z.boolean().default(false),
  imagesPerSecond: z.number(),
  /** Missing until a rate is known. */
  remainingMs: z.number().exactOptional(),
  samplesSeen: countSchema,
  epoch: countSchema,
});

export type StepMetrics = Readonly<z.infer<typeof stepMetricsSchema>>;

/** A job's status. */
export const jobStatusSchema = z.object({
  state: z.enum(JOB_STATES),
  failureReason: failureReasonSchema.catch('INTERNAL').optional(),
  /** One sentence on the state, for people. */
  message: z.string(),
  /** Optimizer steps done, by the newest metrics. */
  step: countSchema,
  committedStep: countSchema,
  /** Engine processes started so far. */
  attempt: countSchema,
  latestMetrics: stepMetricsSchema.exactOptional(),
  /** ISO 8601, UTC. */
  updatedAt: z.string(),
  /** When it first ran. */
  startedAt: z.string().exactOptional(),
  /** When it ended; absent while it has not. */
  endedAt: z.string().optional(),
});

export type JobStatus = Readonly<z.infer<typeof jobStatusSchema>>;

/** What never changes of a job but by a resumption. */
export interface JobRecord {
  readonly jobId: string;
  readonly model: string;
  readonly recipe: TrainingRecipe;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Who owns the job and its model; absent where everybody may see them. */
  readonly owner?: string | undefined;
  /** Of the request_id that created the job. */
  readonly requestSha256?: string | undefined;
  /** Of the request that resumed it last. */
  readonly resumed?: ResumeClaim | undefined;
}

/** What makes a repeated resumption the same one. */
export interface ResumeClaim {
  /** Of its request_id. */
  readonly requestSha256: string;
  /** Of what was asked. */
  readonly bodySha256: string;
}

export interface Job {
  readonly record: JobRecord;
  readonly status: JobStatus;
}

export interface StateChange {
  readonly kind: 'state';
  readonly state: JobState;
  readonly failureReason?: WireReason | undefined;
  readonly message: string;
}

/** The message of a cancelled job. */
export function cancelledAt(committedStep: number): string {
  return committedStep === 0
    ? 'cancelled before its first checkpoint'
    : `cancelled; its newest checkpoint is that of step ${committedStep}`;
}

/** Exposure bias as `measureRun` measures it, at the step of its evaluation. */
export const exposureSchema = z.object({
  step: countSchema,
  images: countSchema,
  steps: countSchema,
  energyRatio: z.number(),
  epsilonNormRatio: z.number(),
  suggestedLambda: z.number(),
  suggestedLambdaLow: z.number(),
  suggestedLambdaHigh: z.number(),
});

/** Mean squared errors on images that are never trained on, without perturbation. */
export const evaluationSchema = z.object({
  step: countSchema,
  mse: z.number(),
  /** Of the EMA weights of the largest rate. */
  emaMse: z.number(),
  /** Images held out. */
  images: countSchema,
  /** Absent where too few images are held out. */
  exposure: exposureSchema.exactOptional(),
});

export type Evaluation = Readonly<z.infer<typeof evaluationSchema>>;

/** Steps and texts that a report has at most. */
export const MAX_REPORTED_STEPS = 1000;
export const MAX_TEXT = 4000;

/** What a run says of its store. */
export const storeReportSchema = z.object({
  change: z.enum(STORE_CHANGES),
  /** What the store answered to the first call that failed; absent while it takes checkpoints. */
  problem: z.string().max(MAX_TEXT).exactOptional(),
  /** When that was, or when the slow commit began; milliseconds since the epoch. */
  sinceMs: z.number().exactOptional(),
  /** The checkpoints that the change is about. */
  steps: z.array(countSchema).max(MAX_REPORTED_STEPS),
  /** Checkpoints that are not in the store yet. */
  waiting: countSchema,
  /** Of those in the spill folder. */
  spilledBytes: countSchema,
});

export type StoreReport = Readonly<z.infer<typeof storeReportSchema>>;

export interface StoreEvent {
  readonly kind: 'store';
  readonly report: StoreReport;
  /** What the spill folder takes of the job; 0 where nothing is spilled. */
  readonly spillLimitBytes: number;
}

/** What an engine process reports of its work. */
export type EngineEvent =
  | { readonly kind: 'metrics'; readonly metrics: StepMetrics }
  /** Its image is dropped once there are newer ones. */
  | { readonly kind: 'grid'; readonly step: number; readonly image?: GridImage }
  | { readonly kind: 'checkpoint'; readonly step: number; readonly sizeBytes: number }
  | { readonly kind: 'evaluation'; readonly evaluation: Evaluation };

export type JobEvent = EngineEvent | StateChange | StoreEvent;
