/** The table of composites. */
import { ADAM_W } from './adamw.js';
import { AFTER } from './after.js';
import { ATTENTION, ATTENTION_GRADIENT } from './attention.js';
import type { Composite } from './composite.js';
import { GLOBAL_NORM } from './global-norm.js';
import { GROUP_NORM, GROUP_NORM_GRADIENT } from './group-norm.js';

export const COMPOSITES: ReadonlyMap<string, Composite> = new Map(
  [ADAM_W, AFTER, ATTENTION, ATTENTION_GRADIENT, GLOBAL_NORM, GROUP_NORM, GROUP_NORM_GRADIENT].map((row) => [
    row.op,
    row,
  ]),
);

export { adamW } from './adamw.js';
export type { AdamWConfig, AdamWState } from './adamw.js';
export { after } from './after.js';
export { attention } from './attention.js';
export type { AttentionOptions } from './attention.js';
export type { Composite, InPlaceUpdate } from './composite.js';
export { globalNorm } from './global-norm.js';
export { groupNorm } from './group-norm.js';
export type { GroupNormOptions } from './group-norm.js';
export { silu } from './silu.js';
