/** What a caller hands to a solver, and what every solver yields. */
import type { Kind } from '../foundation/index.js';
import type { Algebra, DiffusionTables } from '../noise/index.js';
import type { RandomKey } from '../random/index.js';
import type { DiffusionContract, VisitedProcess } from './process.js';
import type { Remedies } from './remedies/index.js';

/** The label of no class: what a network without classes is given, and the unconditional half of guidance. */
export const UNCONDITIONAL = -1;

/** One image's input to the network. */
export interface NetworkRow {
  /** [H, W, C] flattened. */
  readonly xT: Float32Array;
  /** As the network was trained to get it: mapped to the T training timesteps, and rescaled if it was. */
  readonly t: number;
  /** Class label, or UNCONDITIONAL. */
  readonly y: number;
}

/**
 * The network over one row, which a batcher puts beside others: [H, W, C] flattened (epsilon), or [H, W, 2C]
 * (epsilon, then the variance's place in its range) where the variance is learned.
 */
export type Predict = (row: NetworkRow, signal?: AbortSignal) => Promise<Float32Array>;

/** Standard normal values of one image: position 0 is x_T, position k the k-th noise of the trajectory. */
export interface NoiseSource {
  (position: number): Float32Array;
  /** Where the same values from position 1 on are drawn by others; absent where they can't. */
  readonly stream?: NoiseStream;
}

/** Position k is `gaussian(key, [index, k], length)`. */
export interface NoiseStream {
  readonly key: RandomKey;
  readonly index: number;
}

/** Where a trajectory begins, if not at the noise of position 0. */
export type Start =
  /** At an image, noised to the first timestep that isn't skipped: 0..steps-1 of the first steps are. */
  | { readonly kind: 'image'; readonly xStart: Float32Array; readonly skippedSteps: number }
  /** At a given x_T, as encoding makes one. */
  | { readonly kind: 'latent'; readonly xT: Float32Array };

/** Which part of a given image is sampled, and which is kept. Both arrays are [H, W, C] flattened. */
export interface Inpainting {
  readonly image: Float32Array;
  /** 1 samples the pixel, 0 keeps the image's, values between blend. */
  readonly mask: Float32Array;
}

/** All that a solver needs to continue after a step. */
export interface SolverState {
  /** Of all the plan's steps; those skipped at the start count as done. */
  readonly stepsDone: number;
  readonly x: Float32Array;
  /** What the solver keeps of earlier steps, each array as long as x. */
  readonly history: readonly Float32Array[];
}

export interface SolverOptions {
  readonly plan: SamplerPlan;
  readonly predict: Predict;
  readonly noise: NoiseSource;
  readonly y?: number;
  readonly start?: Start;
  readonly inpaint?: Inpainting;
  /** Goes on after the step that yielded this, with all other options as they were. */
  readonly resume?: SolverState;
  /** Stops the solver within one step. */
  readonly signal?: AbortSignal;
}

/** The state after a step. The arrays are the solver's own: copy one to change it. */
export interface SamplerStep {
  /** 0 for the first step, at the largest timestep. */
  readonly index: number;
  /** The training timestep that the step started from. */
  readonly t: number;
  /** How many steps there are in all. */
  readonly steps: number;
  /** [H, W, C] flattened: the image after the step, still noisy unless it's the last. */
  readonly sample: Float32Array;
  /** [H, W, C] flattened: x_0 as predicted at this step. */
  readonly predXStart: Float32Array;
  /** What resumes after this step. */
  readonly state: SolverState;
}

/** What a stage computes with: pixels on the host, their coefficients for an engine. */
export interface Known<Value> {
  readonly x: Value;
  /** x_0 as predicted at this stage. */
  readonly xStart: Value;
  /** What the stage before left. */
  readonly history: readonly Value[];
}

/** One evaluation of the network in a step, and what becomes of x: a x + b x_0 + the sum of c_k history_k + d noise. */
export interface Stage {
  /** The respaced step at whose noise level the network is asked. */
  readonly level: number;
  /** Of the step's noise, which is drawn and added after the sums: d, or what the network predicts; 0 for none. */
  readonly deviation: number | 'predicted';
  /** Nothing but sums, so that an engine can be given its coefficients; `history` is none where absent. */
  readonly combine: <Value>(
    algebra: Algebra<Value>,
    known: Known<Value>,
  ) => { readonly x: Value; readonly history?: readonly Value[] };
}

/** What the stages of a step follow from. */
export type StagePlan = Pick<SamplerPlan, 'tables' | 'eta'>;

/** Settings that only some solvers have. */
export type SolverOption = 'eta';

/** A solver, as the table of solvers has it: its steps, and what is special about it. */
export interface SolverKind {
  /** What it is, in a few words. */
  readonly help: string;
  /** The stages of the step from level `i` to level i - 1, or from level 0 to the image. */
  readonly stages: (plan: StagePlan, i: number) => readonly Stage[];
  /** How many arrays it keeps of earlier steps, after so many; none where undefined. */
  readonly pastLength?: (taken: number) => number;
  /** The settings that are its own, each with what it may be; 0 is always the default. */
  readonly options?: Readonly<Partial<Record<SolverOption, Kind<number>>>>;
}

/** A solver walks the visited timesteps backwards. */
export interface SamplerPlan extends VisitedProcess {
  readonly solver: SolverKind;
  readonly eta: number;
  readonly clipDenoised: boolean;
  readonly steps: number;
  /** Rows of the network that one image takes from x_T on. */
  readonly evaluations: number;
  readonly contract: DiffusionContract;
  /** Of all T timesteps. */
  readonly trainingTables: DiffusionTables;
  /** Those that are on. */
  readonly remedies: Remedies;
  /** Undefined where guidance is off. */
  readonly guidanceScale: number | undefined;
}
