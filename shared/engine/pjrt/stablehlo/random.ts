/** TensorFlow's stateless random numbers: the same words, from the same seeds, as on a CPU. */
import { resultShape } from './rule.js';
import type { NodeCall, Rules } from './rule.js';
import type { Hlo, Writer } from './writer.js';

/** The key that TensorFlow scrambles seeds with. Source: tensorflow/core/kernels/stateless_random_ops.cc, GenerateKey. */
const SCRAMBLE_KEY = 0x02461e293ec8f720n;
/** Source: tensorflow/core/lib/random/random_distributions.h, BoxMullerFloat. */
const LEAST_UNIFORM = 1e-7;

/** So many 32-bit words. */
function words({ hlo, x }: NodeCall, count: number): Hlo {
  // TensorFlow makes 64 bits of a seed with its sign.
  const seed = hlo.bitcast(hlo.convert(x(1), 'int64'), 'uint64');
  const state = hlo.concatenate([hlo.constant('uint64', [1], BigUint64Array.of(SCRAMBLE_KEY)), seed], 0);
  const pairs = hlo.reshape(hlo.philox(state, 4), [2, 2]);
  // Two words each: the key, and the upper half of the counter.
  const mixed = hlo.bitcast(pairs, 'uint64', [2]);
  const [key, upper] = [hlo.slice(mixed, [0], [1]), hlo.slice(mixed, [1], [1])];
  const lower = hlo.constant('uint64', [1], BigUint64Array.of(0n));
  return hlo.philox(hlo.concatenate([key, lower, upper], 0), count);
}

/** In [0, 1): the lower 23 bits of a word as a fraction. */
function uniform(hlo: Writer, bits: Hlo): Hlo {
  const fraction = hlo.binary('and', bits, hlo.scalar('uint32', 0x7fffff));
  const one = hlo.binary('or', fraction, hlo.scalar('uint32', 0x3f800000));
  return hlo.binary('subtract', hlo.bitcast(one, 'float32'), hlo.scalar('float32', 1));
}

const count = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

export const randomRules: Rules = {
  StatelessRandomUniform: (call) => {
    const shape = resultShape(call);
    return call.hlo.reshape(uniform(call.hlo, words(call, count(shape))), shape);
  },
  // Of two uniform numbers two normal ones, by Box and Muller.
  StatelessRandomNormal: (call) => {
    const { hlo } = call;
    const shape = resultShape(call);
    const pairs = Math.ceil(count(shape) / 2);
    const drawn = hlo.reshape(uniform(hlo, words(call, 2 * pairs)), [pairs, 2]);
    const [first, second] = [0, 1].map((column) => hlo.slice(drawn, [0, column], [pairs, 1])) as [Hlo, Hlo];
    const bounded = hlo.binary('maximum', first, hlo.scalar('float32', LEAST_UNIFORM));
    const squared = hlo.binary('multiply', hlo.unary('log', bounded), hlo.scalar('float32', -2));
    const radius = hlo.unary('sqrt', squared);
    const angle = hlo.binary('multiply', second, hlo.scalar('float32', 2 * Math.PI));
    const both = ['sine', 'cosine'].map((op) => hlo.binary('multiply', hlo.unary(op, angle), radius));
    const flat = hlo.reshape(hlo.concatenate(both, 1), [2 * pairs]);
    return hlo.reshape(hlo.slice(flat, [0], [count(shape)]), shape);
  },
};
