/** Which of the T training timesteps a sampler visits. */
import { invalidArgument, isInteger, violation } from '../foundation/index.js';

/** Room for a count of each of some thousand sections. */
const MAX_RESPACING_LENGTH = 16_384;

/**
 * The timesteps of a respacing text, ascending: "80" takes 80 evenly spaced ones, "10,15,20" takes so many from
 * each of three equal sections (the first ones longer by one where T doesn't divide), "ddim50" takes every n-th
 * from 0 with the integer n that gives exactly 50.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/respace.py:7-60.
 * @throws INVALID_ARGUMENT naming `respacing`.
 */
export function spaceTimesteps(timesteps: number, respacing: string): number[] {
  if (respacing.length > MAX_RESPACING_LENGTH)
    throw refused(respacing, `at most ${MAX_RESPACING_LENGTH} characters`);
  const ddim = /^ddim(\d+)$/.exec(respacing)?.[1];
  return ddim === undefined
    ? sectionTimesteps(timesteps, respacing)
    : strideTimesteps(timesteps, respacing, Number(ddim));
}

export const SPACINGS = ['even', 'trailing', 'leading', 'linspace'] as const;
/** Steps where none are asked for. */
export const DEFAULT_STEPS = 50;

/** How a number of timesteps is spread over all T. */
export type TimestepSpacing = (typeof SPACINGS)[number];

/**
 * The timesteps that settings choose, ascending; 50 where neither `steps` nor `respacing` is given.
 * @throws INVALID_ARGUMENT naming `steps`, `spacing` or `respacing`.
 */
export function visitedTimesteps(
  timesteps: number,
  {
    steps,
    spacing,
    respacing,
  }: { readonly steps?: number; readonly spacing?: TimestepSpacing; readonly respacing?: string },
): number[] {
  if (respacing === undefined)
    return spacedTimesteps(timesteps, steps ?? Math.min(DEFAULT_STEPS, timesteps), spacing ?? 'even');
  if (steps !== undefined) throw refused(respacing, 'steps or respacing, not both');
  if (spacing === undefined) return spaceTimesteps(timesteps, respacing);
  throw invalidArgument([violation('spacing', 'no value where respacing is set', spacing)]);
}

/**
 * So many timesteps, ascending: `even` as the respacing text of the same number has them, `trailing` counted down from
 * T - 1 in equal strides, `leading` counted up from 0 in whole strides, `linspace` from 0 to T - 1 inclusive.
 * Why: one step visits T - 1 whatever the spacing, where x_T is; leading and linspace would have it at 0.
 * Source: arXiv 2305.08891, table 2; Hugging Face diffusers, `set_timesteps` of its DDIM scheduler.
 * @throws INVALID_ARGUMENT naming `steps` or `spacing`.
 */
export function spacedTimesteps(timesteps: number, steps: number, spacing: TimestepSpacing): number[] {
  if (!SPACINGS.includes(spacing)) {
    throw invalidArgument([violation('spacing', `one of ${SPACINGS.join(', ')}`, spacing)]);
  }
  const even = evenTimesteps(timesteps, steps);
  if (steps === 1) return even;
  switch (spacing) {
    case 'even':
      return even;
    case 'trailing':
      return even.map((_, i) => roundHalfToEven(timesteps - (steps - 1 - i) * (timesteps / steps)) - 1);
    case 'leading':
      return even.map((_, i) => i * Math.floor(timesteps / steps));
    case 'linspace':
      return even.map((_, i) => roundHalfToEven(i * ((timesteps - 1) / (steps - 1))));
  }
}

/**
 * Evenly spaced timesteps that end at T - 1, as the respacing text of the same number has them.
 * Why: one step visits T - 1, where x_T is; the respacing text "1" visits timestep 0, as in the reference.
 * @throws INVALID_ARGUMENT naming `steps`.
 */
function evenTimesteps(timesteps: number, steps: number): number[] {
  if (!isInteger(steps, 1, timesteps)) {
    throw invalidArgument([violation('steps', `an integer from 1 to ${timesteps}`, steps)]);
  }
  return steps === 1 ? [timesteps - 1] : sectionTimesteps(timesteps, String(steps));
}

function strideTimesteps(timesteps: number, respacing: string, count: number): number[] {
  for (let stride = 1; stride < timesteps; stride++) {
    if (Math.ceil(timesteps / stride) === count) return Array.from({ length: count }, (_, i) => i * stride);
  }
  throw refused(respacing, `a count that an integer stride over ${timesteps} timesteps can give`);
}

function sectionTimesteps(timesteps: number, respacing: string): number[] {
  const parts = respacing.split(',').map((part) => part.trim());
  if (!parts.every((part) => /^\d+$/.test(part))) {
    throw refused(respacing, 'a count, counts separated by commas, or "ddim" and a count');
  }
  if (parts.length > timesteps) throw refused(respacing, `at most ${timesteps} sections`);
  const counts = parts.map(Number);
  const sectionSize = Math.floor(timesteps / counts.length);
  const longerSections = timesteps % counts.length;
  const taken: number[] = [];
  let start = 0;
  for (const [section, count] of counts.entries()) {
    const size = sectionSize + (section < longerSections ? 1 : 0);
    if (count > size) throw refused(respacing, `at most ${size} steps from section ${section + 1}`);
    const stride = count > 1 ? (size - 1) / (count - 1) : 1;
    // Added up rather than multiplied: the rounding of the sum decides some of the reference's timesteps.
    let offset = 0;
    for (let i = 0; i < count; i++) {
      taken.push(start + roundHalfToEven(offset));
      offset += stride;
    }
    start += size;
  }
  if (taken.length === 0) throw refused(respacing, 'at least one step');
  return taken;
}

// Python's `round`.
function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function refused(respacing: string, wanted: string): Error {
  return invalidArgument([violation('respacing', wanted, respacing)]);
}
