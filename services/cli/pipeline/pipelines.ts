/** What pipelines take and give: plain data, since it travels through Temporal. Images never do. */

/** A batch as it is asked for; see `AskedBatch` of shared/batch. */
export interface BatchRequest {
  readonly model: string;
  readonly checkpointStep?: number | undefined;
  readonly weights?: number | 'raw' | undefined;
  /** Protobuf's JSON of `SamplerSettings`. */
  readonly settings: object;
  /** Decimal. */
  readonly seed: string;
  readonly firstIndex: number;
  readonly count: number;
  readonly classes: readonly number[] | 'all';
  readonly shardSize: number;
  readonly format: string;
}

/** What images are compared with. */
export interface QualityRequest {
  /** Images, or their statistics, where the worker that measures finds them. */
  readonly reference: string;
  readonly extractor: string;
}

export interface ImagesInput {
  /** A folder that all workers share, or s3://bucket/prefix. */
  readonly out: string;
  readonly batch: BatchRequest;
  /** Set when a run continues an earlier one: the plan is there. */
  readonly isPlanned?: true;
}

export interface ImagesResult {
  readonly out: string;
  readonly images: number;
  readonly shards: number;
}

export interface MeasuredInput extends ImagesInput {
  readonly quality: QualityRequest;
}

export interface Measured {
  readonly name: string;
  readonly value: number;
  readonly standardError?: number | undefined;
  readonly better: 'lower' | 'higher';
}

export interface MeasuredResult extends ImagesResult {
  readonly measured: readonly Measured[];
}

export interface SweepInput {
  readonly out: string;
  readonly variants: readonly {
    /** Also the folder, or prefix, of its images below `out`. */
    readonly name: string;
    /** JSON of a recipe file; its `name` is the model's. */
    readonly recipe: object;
  }[];
  /** For every variant; the model is its own. */
  readonly batch: Omit<BatchRequest, 'model' | 'checkpointStep'>;
  readonly quality: QualityRequest;
}

export interface VariantResult {
  readonly name: string;
  readonly model?: string;
  readonly step?: number;
  readonly measured?: readonly Measured[];
  /** Why it has no figures. */
  readonly failure?: string;
}

export interface SweepResult {
  readonly out: string;
  /** The best first, by the first measure; what failed last. */
  readonly variants: readonly VariantResult[];
}

/** How far a pipeline is, as it answers when asked. */
export interface PipelineProgress {
  readonly stage: string;
  /** Images that are complete, of how many; 0 of 0 where it isn't known yet. */
  readonly done: number;
  readonly total: number;
  /** Pipelines that it waits for, by id. */
  readonly children: readonly string[];
}

/** The query that a pipeline answers with `PipelineProgress`. */
export const PROGRESS = 'progress';

/** What workers do for pipelines. Each may be made again after a worker has died: the second time changes nothing. */
export interface Activities {
  /** Writes the output's plan, where it has none. */
  makePlan(input: {
    readonly out: string;
    readonly batch: BatchRequest;
  }): Promise<{ images: number; shards: number }>;
  /** Shards that are not complete, the first `limit` of them, and how many images are. */
  findMissing(input: {
    readonly out: string;
    readonly limit: number;
  }): Promise<{ missing: number[]; done: number }>;
  makeShard(input: { readonly out: string; readonly shard: number }): Promise<void>;
  measureImages(input: { readonly out: string; readonly quality: QualityRequest }): Promise<Measured[]>;
  /** Writes report.json and report.md into the output. */
  writeReport(input: {
    readonly out: string;
    readonly title: string;
    readonly variants: readonly VariantResult[];
  }): Promise<void>;
  /** Trains until the job has succeeded. The same id gives the same job. */
  trainModel(input: {
    readonly recipe: object;
    readonly requestId: string;
  }): Promise<{ model: string; step: number }>;
}
