/** What a measure finds, as plain data: curves with intervals, numbers, and all that is needed to compare them. */
import type { ImageRow } from '../images/index.js';
import type { SamplerSettings } from '../sampler/index.js';
import type { Estimate } from '../statistics/index.js';

export interface CurvePoint extends Estimate {
  readonly x: number;
}

export interface Curve {
  readonly name: string;
  /** By rising x. */
  readonly points: readonly CurvePoint[];
}

export interface Figure {
  /** In a measure's result no two have the same. */
  readonly name: string;
  readonly title: string;
  readonly x: string;
  readonly y: string;
  /** For a perfect model, or where what is tested holds. */
  readonly ideal?: number;
  readonly curves: readonly Curve[];
  /** Drawn as points without lines. */
  readonly scatter?: true;
  /** y is logarithmic. */
  readonly logarithmic?: true;
  /** Of the points of a scatter, by x. Otherwise dashed vertical lines. */
  readonly marks?: readonly { readonly x: number; readonly text: string }[];
  /** Drawn as a map of x by curve instead of lines; the curves then have the same x. */
  readonly map?: true;
}

export interface Finding extends Estimate {
  readonly name: string;
  readonly ideal?: number;
}

/** What a measure itself returns. */
export interface Outcome {
  readonly figures: readonly Figure[];
  readonly findings: readonly Finding[];
  /** What a reader must know to read it, in sentences. */
  readonly notes: readonly string[];
  /** How many images it looked at, where its own limit can make them fewer than were asked for. */
  readonly images?: number;
}

/** Images to look at: the first of a seed, or of a set. */
export interface NamedRow {
  readonly name: string;
  readonly images: number;
  /** The images side by side: a PNG in base64, since results are written as JSON. */
  readonly png: string;
}

export function namedRow(name: string, { images, png }: ImageRow): NamedRow {
  return { name, images, png: Buffer.from(png).toString('base64') };
}

export interface MeasureResult extends Outcome {
  readonly measure: string;
  /** What it measures, in a sentence. */
  readonly help: string;
  /** How many it looked at. */
  readonly images: number;
  readonly seed: string;
  /** Visited timesteps. */
  readonly steps: number;
  readonly sampler: SamplerSettings;
  readonly settings: Readonly<Record<string, number>>;
  /** Of the intervals. */
  readonly level: number;
  readonly pictures?: readonly NamedRow[];
}
