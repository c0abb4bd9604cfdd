/** Which weights of a checkpoint, in recipes and requests. */

import type { Kind } from '../foundation/index.js';

/** The exponential moving average (EMA) of one rate, or the raw weights. */
export type WeightsChoice = number | 'raw';

function accept(value: unknown): WeightsChoice | undefined {
  if (value === 'raw') return 'raw';
  return typeof value === 'number' && value >= 0 && value < 1 ? value : undefined;
}

export const weightsChoice: Kind<WeightsChoice> = {
  wanted: 'raw, or an EMA rate from 0 up to but not 1',
  placeholder: 'raw|RATE',
  accept,
  read: (text) => accept(text === 'raw' || text.trim() === '' ? text : Number(text)),
};
