/** A slot in plain arithmetic: what the engine's must agree with. */
import { at } from '../../shared/foundation/index.js';
import { gaussian } from '../../shared/random/index.js';
import { SLOT_HISTORY, withParts } from '../../shared/sampler/index.js';
import type { KeptPixels, NoiseStream, Predict, SlotRow, SlotState } from '../../shared/sampler/index.js';
import { toySlotMath } from './toy-slot-math.js';

export interface HeldSlot {
  x: Float32Array;
  xStart: Float32Array;
  /** What the network predicted before. */
  before: Float32Array;
  history: Float32Array[];
  kept: KeptPixels;
}

/** One row over a slot, whose network is `predict`; `channels` where its output says something of the variance too. */
export async function runRow(
  slot: HeldSlot,
  row: SlotRow,
  { predict, stream, channels }: { predict: Predict; stream: NoiseStream; channels?: number },
): Promise<void> {
  slot.x = withPixels(slot, row, 'start');
  const { x } = slot;
  const output = await predict({ xT: x, t: row.t, y: row.y });
  const [prediction, variance] = channels === undefined ? [output] : halves(output, channels);
  const { bound, deviation, next, noisePosition } = row;
  const clamped = sums(row.xStart, [x, prediction, slot.before]).map((value) =>
    Math.min(Math.max(value, -bound), bound),
  );
  const xStart = withPixels({ ...slot, xStart: clamped }, row, 'predicted');
  const [mean, ...history] = next.map((factors) => sums(factors, [x, xStart, ...slot.history]));
  const noise =
    noisePosition === 0 ? undefined : gaussian(stream.key, [stream.index, noisePosition], x.length);
  const [least, most] = row.logVariance;
  slot.x = (mean ?? x).map((value, e) => {
    if (noise === undefined) return value;
    const chosen = variance === undefined ? least : least + ((at(variance, e) + 1) / 2) * (most - least);
    return value + deviation * Math.exp(chosen / 2) * at(noise, e);
  });
  slot.history = history;
  slot.before = prediction;
  if (row.predicts) slot.xStart = xStart;
  slot.x = withPixels(slot, row, 'end');
}

function withPixels(
  slot: HeldSlot,
  { pixels }: SlotRow,
  place: Parameters<typeof withParts>[1],
): Float32Array {
  const { x, xStart, kept } = slot;
  if (pixels === undefined) return place === 'predicted' ? xStart : x;
  const images = {
    x: Float64Array.from(x),
    xStart: Float64Array.from(xStart),
    kept: {
      share: Float64Array.from(kept.share),
      image: Float64Array.from(kept.image),
      xT: Float64Array.from(kept.xT),
    },
  };
  return Float32Array.from(withParts(toySlotMath, place, images, (k) => Float64Array.of(at(pixels, k))));
}

/** With nothing but what is written. */
export function toySlot({ x, history, kept }: SlotState): HeldSlot {
  const none = x.map(() => 0);
  const arrays = Array.from({ length: SLOT_HISTORY }, (_, k) => history[k] ?? none);
  // Where nothing is written, what an earlier image left.
  const old = x.map(() => 0.5);
  const nothingKept = { share: old, image: old, xT: old };
  return { x, xStart: none, before: none, history: arrays, kept: kept ?? nothingKept };
}

function sums(factors: readonly number[], of: readonly Float32Array[]): Float32Array {
  return at(of, 0).map((_, e) => of.reduce((sum, values, k) => sum + at(factors, k) * at(values, e), 0));
}

function halves(output: Float32Array, channels: number): [Float32Array, Float32Array] {
  const of = (half: 0 | 1) => output.filter((_, e) => Math.floor(e / channels) % 2 === half);
  return [of(0), of(1)];
}
