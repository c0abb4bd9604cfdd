/** The table of measures: a new one is a row here and a file of its own. */
import type { Measure } from '../measure.js';
import { frechet, spatialFrechet } from './frechet.js';
import { kernel } from './kernel.js';
import { manifold } from './manifold.js';
import { score } from './score.js';

/** In the order in which they are made. */
export const MEASURES = { frechet, spatial: spatialFrechet, kernel, score, manifold } satisfies Readonly<
  Record<string, Measure>
>;

export type MeasureName = keyof typeof MEASURES;

export const MEASURE_NAMES = Object.keys(MEASURES) as MeasureName[];
