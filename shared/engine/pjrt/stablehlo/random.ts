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

/** Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11, section 4.3. */
const PHILOX = {
  rounds: 10,
  factors: [0xd2511f53n, 0xcd9e8d57n],
  steps: [0x9e3779b9n, 0xbb67ae85n],
} as const;

/** Blocks of Philox4x32, one for each element of the counters, whose keys may differ: what one generator can't do. */
function philoxBlocks(hlo: Writer, counter: readonly [Hlo, Hlo, Hlo, Hlo], key: readonly [Hlo, Hlo]): Hlo[] {
  const word = (value: bigint): Hlo => hlo.convert(hlo.scalar('uint64', value), 'uint32');
  const xor = (a: Hlo, b: Hlo, c: Hlo): Hlo => hlo.binary('xor', hlo.binary('xor', a, b), c);
  function product(x: Hlo, factor: bigint): [high: Hlo, low: Hlo] {
    const whole = hlo.binary('multiply', hlo.convert(x, 'uint64'), hlo.scalar('uint64', factor));
    const high = hlo.binary('shift_right_logical', whole, hlo.scalar('uint64', 32n));
    return [hlo.convert(high, 'uint32'), hlo.convert(whole, 'uint32')];
  }
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < PHILOX.rounds; round++) {
    const [high0, low0] = product(c0, PHILOX.factors[0]);
    const [high1, low1] = product(c2, PHILOX.factors[1]);
    [c0, c1, c2, c3] = [xor(high1, c1, k0), low1, xor(high0, c3, k1), low0];
    k0 = hlo.binary('add', k0, word(PHILOX.steps[0]));
    k1 = hlo.binary('add', k1, word(PHILOX.steps[1]));
  }
  return [c0, c1, c2, c3];
}

/** The upper 27 bits of a word and the upper 26 of the next one, as the parts of a number in [0, 1) that they are. */
function fractions(hlo: Writer, [high, low]: readonly [Hlo, Hlo]): readonly [Hlo, Hlo] {
  const part = (word: Hlo, shift: bigint, scale: number): Hlo => {
    const bits = hlo.binary('shift_right_logical', word, hlo.convert(hlo.scalar('uint64', shift), 'uint32'));
    return hlo.binary('multiply', hlo.convert(bits, 'float32'), hlo.scalar('float32', scale));
  };
  return [part(high, 5n, 2 ** -27), part(low, 6n, 2 ** -53)];
}

/** ln(1 - u), which keeps its digits at both ends though u is no float32. */
function logOfRest(hlo: Writer, words: readonly [Hlo, Hlo]): Hlo {
  const [high] = words;
  const [large, small] = fractions(hlo, words);
  const u = hlo.binary('add', large, small);
  const nearZero = hlo.unary('log_plus_one', hlo.unary('negate', u));
  // 2^27 - the upper bits: exact before it is a float32.
  const shifted = hlo.binary('shift_right_logical', high, hlo.convert(hlo.scalar('uint64', 5n), 'uint32'));
  const rest = hlo.binary('subtract', hlo.convert(hlo.scalar('uint64', 1n << 27n), 'uint32'), shifted);
  const scaled = hlo.binary('multiply', hlo.convert(rest, 'float32'), hlo.scalar('float32', 2 ** -27));
  const nearOne = hlo.unary('log', hlo.binary('subtract', scaled, small));
  return hlo.select(hlo.compare('LT', u, hlo.scalar('float32', 0.5)), nearZero, nearOne);
}

export const randomRules: Rules = {
  StreamNormal: (call) => {
    const { hlo, x } = call;
    const [rows = 0, length = 0] = resultShape(call);
    const blocks = Math.ceil(length / 2);
    const column = (of: Hlo, index: number): Hlo =>
      hlo.broadcast(hlo.slice(hlo.bitcast(of, 'uint32'), [0, index], [rows, 1]), [rows, blocks]);
    const zero = hlo.broadcast(hlo.convert(hlo.scalar('uint64', 0n), 'uint32'), [rows, blocks]);
    const counter = [hlo.iota('uint32', [rows, blocks], 1), column(x(1), 0), column(x(1), 1), zero] as const;
    const words = philoxBlocks(hlo, counter, [column(x(0), 0), column(x(0), 1)]);
    const log = logOfRest(hlo, [words[0], words[1]] as [Hlo, Hlo]);
    const radius = hlo.unary('sqrt', hlo.binary('multiply', log, hlo.scalar('float32', -2)));
    const turn = hlo.binary('add', ...fractions(hlo, [words[2], words[3]] as [Hlo, Hlo]));
    const angle = hlo.binary('multiply', turn, hlo.scalar('float32', 2 * Math.PI));
    const pair = ['cosine', 'sine'].map((op) =>
      hlo.reshape(hlo.binary('multiply', radius, hlo.unary(op, angle)), [rows, blocks, 1]),
    );
    const flat = hlo.reshape(hlo.concatenate(pair, 2), [rows, 2 * blocks]);
    return hlo.slice(flat, [0, 0], [rows, length]);
  },

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
