/** Between PyTorch's layout, in which parameters are stored, and the engine's. */
import { at } from '../foundation/index.js';
import type { ParameterSpec } from './parameters.js';

/** [out, in, kh, kw] -> [kh, kw, in, out], [out, in(, 1)] -> [in, out]; other parameters stay as they are. */
export function toEngineLayout(spec: ParameterSpec, values: Float32Array): Float32Array {
  return reordered(spec, values, (stored, engine) => [engine, stored]);
}

/** The inverse of `toEngineLayout`. */
export function fromEngineLayout(spec: ParameterSpec, values: Float32Array): Float32Array {
  return reordered(spec, values, (stored, engine) => [stored, engine]);
}

// Walks both layouts at once: output o, input i, tap p of the kernel (row-major).
function reordered(
  { layout, shape }: ParameterSpec,
  values: Float32Array,
  ends: (stored: number, engine: number) => readonly [to: number, from: number],
): Float32Array {
  if (layout === 'same') return values.slice();
  const [outputs = 1, inputs = 1, height = 1, width = 1] = shape;
  const taps = height * width;
  const result = new Float32Array(values.length);
  for (let o = 0; o < outputs; o++) {
    for (let i = 0; i < inputs; i++) {
      for (let p = 0; p < taps; p++) {
        const [to, from] = ends((o * inputs + i) * taps + p, (p * inputs + i) * outputs + o);
        result[to] = at(values, from);
      }
    }
  }
  return result;
}
