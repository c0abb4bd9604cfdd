/** A slot in plain arithmetic: what the engine's must agree with. */
import { at } from '../../shared/foundation/index.js';
import { gaussian } from '../../shared/random/index.js';
import { SLOT_HISTORY, type NoiseStream, type Predict, type SlotRow } from '../../shared/sampler/index.js';

export interface HeldSlot {
  x: Float32Array;
  xStart: Float32Array;
  /** What the network predicted before. */
  before: Float32Array;
  history: Float32Array[];
}

/** One row over a slot, whose network is `predict`; `channels` where its output says something of the variance too. */
export async function runRow(
  slot: HeldSlot,
  row: SlotRow,
  { predict, stream, channels }: { predict: Predict; stream: NoiseStream; channels?: number },
): Promise<void> {
  const { x } = slot;
  const output = await predict({ xT: x, t: row.t, y: row.y });
  const [prediction, variance] = channels === undefined ? [output] : halves(output, channels);
  const { bound, deviation, next, noisePosition } = row;
  const xStart = sums(row.xStart, [x, prediction, slot.before]).map((value) =>
    Math.min(Math.max(value, -bound), bound),
  );
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
}

/** With nothing but x and history. */
export function toySlot(x: Float32Array, history: readonly Float32Array[] = []): HeldSlot {
  const none = x.map(() => 0);
  const arrays = Array.from({ length: SLOT_HISTORY }, (_, k) => history[k] ?? none);
  return { x, xStart: none, before: none, history: arrays };
}

function sums(factors: readonly number[], of: readonly Float32Array[]): Float32Array {
  return at(of, 0).map((_, e) => of.reduce((sum, values, k) => sum + at(factors, k) * at(values, e), 0));
}

function halves(output: Float32Array, channels: number): [Float32Array, Float32Array] {
  const of = (half: 0 | 1) => output.filter((_, e) => Math.floor(e / channels) % 2 === half);
  return [of(0), of(1)];
}
