/** From values to places on a chart: ranges, round ticks, labels. */

export interface Axis {
  /** Where a value lies, 0 at the axis's beginning and 1 at its end. */
  place(value: number): number;
  readonly ticks: readonly { readonly value: number; readonly label: string }[];
}

const ROUND_STEPS = [1, 2, 5, 10];

/** An axis over the values' range with ticks at round numbers, at most about `wantedTicks` of them. */
export function linearAxis(values: readonly number[], wantedTicks: number): Axis {
  const [low, high] = range(values);
  const step = roundStep((high - low) / wantedTicks);
  const ticks: number[] = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) ticks.push(n * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return {
    place: (value) => (value - low) / (high - low),
    ticks: ticks.map((value) => ({ value, label: plainNumber(value, digits) })),
  };
}

/** An axis over positive values by their logarithm, with ticks at 1, 2 and 5 times powers of ten, thinned out where many. */
export function logAxis(values: readonly number[], wantedTicks: number): Axis {
  const [low, high] = range(values.map((value) => Math.log10(value)));
  const factors = high - low > wantedTicks / 2 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let power = Math.floor(low); power <= Math.ceil(high); power++) {
    for (const factor of factors) {
      const value = Math.log10(factor) + power;
      if (value >= low - 1e-9 && value <= high + 1e-9) ticks.push(factor * 10 ** power);
    }
  }
  return {
    place: (value) => (Math.log10(value) - low) / (high - low),
    ticks: ticks.map((value) => ({
      value,
      label: plainNumber(value, Math.max(0, -Math.floor(Math.log10(value) + 1e-9))),
    })),
  };
}

// A range of no width would put every value at NaN.
function range(values: readonly number[]): [number, number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low > high) return [0, 1];
  const margin = low === high ? Math.max(Math.abs(low) * 0.1, 1e-6) : (high - low) * 0.02;
  return [low - margin, high + margin];
}

function roundStep(raw: number): number {
  const power = 10 ** Math.floor(Math.log10(raw));
  const factor = ROUND_STEPS.find((step) => step * power >= raw * (1 - 1e-9)) ?? 10;
  return factor * power;
}

function plainNumber(value: number, digits: number): string {
  if (digits > 5 || Math.abs(value) >= 1e7) return value.toExponential(0);
  const [whole = '', fraction] = Math.abs(value).toFixed(digits).split('.');
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ',');
  return `${value < 0 ? '-' : ''}${grouped}${fraction === undefined ? '' : `.${fraction}`}`;
}
