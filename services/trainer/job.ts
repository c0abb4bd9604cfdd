/** What the trainer knows of a job, and what can happen to it. */

import * as z from 'zod';

import type { jobStates } from '../../shared/contract/index.js';
import { WIRE_REASONS, type WireReason } from '../../shared/foundation/index.js';
import type { TrainingRecipe } from '../../shared/recipe/index.js';
import type { GridImage } from '../../shared/training/index.js';

export type JobState = Parameters<typeof jobStates.write>[0];

const STATES = [
  'PENDING',
  'RUNNING',
  'RETRYING',
  'SUCCEEDED',
  'FAILED',
  'CANCELLED',
] as const satisfies readonly JobState[];

/** Why a job failed. */
export const failureReasonSchema = z.enum(Object.keys(WIRE_REASONS) as WireReason[]);

const count = z.int().nonnegative();

/** The figures of one update; means over its images. */
export const stepMetricsSchema = z.object({
  /** Updates done. */
  step: count,
  totalSteps: count,
  loss: z.number(),
  mse: z.number(),
  vb: z.number().exactOptional(),
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
  etaMs: z.number().exactOptional(),
  samplesSeen: count,
  epoch: count,
});

export type StepMetrics = Readonly<z.infer<typeof stepMetricsSchema>>;

/** Where a job stands. */
export const jobStatusSchema = z.object({
  state: z.enum(STATES),
  failureReason: failureReasonSchema.catch('INTERNAL').optional(),
  /** One sentence on the state, for people. */
  message: z.string(),
  /** Updates done, by the last metrics. */
  step: count,
  committedStep: count,
  /** Engine processes started so far. */
  attempt: count,
  latestMetrics: stepMetricsSchema.exactOptional(),
  /** ISO 8601, UTC. */
  updatedAt: z.string(),
});

export type JobStatus = Readonly<z.infer<typeof jobStatusSchema>>;

/** What never changes of a job but by a resumption. */
export interface JobRecord {
  readonly jobId: string;
  readonly model: string;
  readonly recipe: TrainingRecipe;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
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

/** Mean squared errors on images that are never trained on, without perturbation. */
export const evaluationSchema = z.object({
  step: count,
  mse: z.number(),
  /** Of the average with the largest rate. */
  emaMse: z.number(),
  /** Images held out. */
  images: count,
});

export type Evaluation = Readonly<z.infer<typeof evaluationSchema>>;

/** What an engine process tells of its work. */
export type EngineEvent =
  | { readonly kind: 'metrics'; readonly metrics: StepMetrics }
  /** Without an image once newer ones have taken its place. */
  | { readonly kind: 'grid'; readonly step: number; readonly image?: GridImage }
  | { readonly kind: 'checkpoint'; readonly step: number; readonly sizeBytes: number }
  | { readonly kind: 'evaluation'; readonly evaluation: Evaluation };

export type JobEvent = EngineEvent | StateChange;

/** Whether a job in this state is over until somebody resumes it. */
export function isEnded(state: JobState): boolean {
  switch (state) {
    case 'PENDING':
    case 'RUNNING':
    case 'RETRYING':
      return false;
    case 'SUCCEEDED':
    case 'FAILED':
    case 'CANCELLED':
      return true;
  }
}
