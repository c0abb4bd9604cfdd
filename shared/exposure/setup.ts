/** What is measured, on which images, and how. */
import type {
  NetworkRow,
  Predict,
  SamplerPlan,
  SamplerSettings,
  DiffusionContract,
} from '../sampler/index.js';
import type { BootstrapOptions } from '../statistics/index.js';

/** A network, or a closed form in its place. */
export interface MeasuredModel {
  readonly contract: DiffusionContract;
  readonly imageSize: number;
  readonly predict: Predict;
  /** |d epsilon / d x_t|_F^2 / D at a row, D the number of its values, where the model can say it. */
  readonly inputGradient?: (row: NetworkRow) => Promise<number>;
}

/** Real images. */
export interface ImageSet {
  readonly length: number;
  /** [H, W, C] flattened, in [-1, 1]. */
  image(index: number): Promise<Float32Array>;
  /** Its class; absent without classes. */
  readonly label?: (index: number) => number;
}

export interface Setup {
  readonly model: MeasuredModel;
  readonly data: ImageSet;
  readonly plan: SamplerPlan;
  readonly sampler: SamplerSettings;
  /** How many trajectories, each beside the image of its index; the images from there on are a second set. */
  readonly images: number;
  readonly seed: bigint;
  readonly bootstrap: BootstrapOptions;
  /** Images in work at once: rows that a batcher can put into one pass. */
  readonly width: number;
  readonly signal: AbortSignal | undefined;
  /** Called with images that are done. */
  readonly progress: (done: number, total: number) => void;
}
