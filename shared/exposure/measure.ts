/** What a measure is: a row of the table of measures. */
import type { Kind } from '../foundation/index.js';
import type { Level } from './trajectory.js';
import type { Outcome } from './result.js';
import type { Setup } from './setup.js';

export interface Setting {
  readonly kind: Kind<number>;
  readonly default: number;
  readonly help: string;
}

type Settings = Readonly<Record<string, Setting>>;
export type Values<S extends Settings> = { readonly [Name in keyof S]: number };

interface Described<S extends Settings> {
  readonly name: string;
  /** What it measures, in a sentence without a full stop. */
  readonly help: string;
  readonly settings: S;
}

/** Looks at trajectories that all such measures share, image by image. */
export interface TrajectoryMeasure<S extends Settings = Settings> extends Described<S> {
  /** Whether it looks at the network's predictions; those of x_t cost an evaluation for each step. */
  readonly epsilons?: true;
  readonly start: (setup: Setup, values: Values<S>) => TrajectoryPass;
}

/** Makes what it measures itself. */
export interface OwnMeasure<S extends Settings = Settings> extends Described<S> {
  readonly run: (setup: Setup, values: Values<S>) => Promise<Outcome>;
}

export interface TrajectoryPass {
  /** Begins an image; `other` is an image of the second set. Several are in work at once. */
  image(xStart: Float32Array, other: Float32Array): ImagePass;
  finish(): Outcome;
}

export interface ImagePass {
  /** Called for each step, from the largest timestep down. Keeps no array of it. */
  level(level: Level): void;
  /** Takes the finished image. @returns what adds it to the sums; called in the order of the images. */
  end(sample: Float32Array): () => void;
}

export type Measure = TrajectoryMeasure | OwnMeasure;

/** Declares a measure; whoever runs it gives a value for each of its settings. */
export function trajectoryMeasure<const S extends Settings>(
  measure: TrajectoryMeasure<S>,
): TrajectoryMeasure {
  return measure as unknown as TrajectoryMeasure;
}

/** The same for one that makes what it measures itself. */
export function ownMeasure<const S extends Settings>(measure: OwnMeasure<S>): OwnMeasure {
  return measure as unknown as OwnMeasure;
}
