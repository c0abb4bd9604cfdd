/** Counter-based random numbers: every number is a function of (seed, purpose, position), with no hidden state. */
import { createHash } from 'node:crypto';
import { invalidArgument, isInteger, violation } from '../foundation/index.js';

/** Two uint32 words. */
export type RandomKey = readonly [number, number];
/** Four uint32 words. */
export type Counter = readonly [number, number, number, number];

const TWO_32 = 2 ** 32;
const TWO_PI = 2 * Math.PI;
const MAX_SEED = 2n ** 64n - 1n;
const MAX_POSITION_WORDS = 3;

/**
 * The Philox key of a purpose: the first 8 bytes of SHA-256(seed as 8 little-endian bytes, purpose in UTF-8),
 * read as two little-endian uint32.
 * @throws INVALID_ARGUMENT for a seed that is no uint64.
 */
export function deriveKey(seed: bigint, purpose: string): RandomKey {
  if (seed < 0n || seed > MAX_SEED) {
    throw invalidArgument([violation('seed', `an integer from 0 to ${MAX_SEED.toString()}`, seed)]);
  }
  const seedBytes = Buffer.alloc(8);
  seedBytes.writeBigUInt64LE(seed);
  const digest = createHash('sha256').update(seedBytes).update(purpose, 'utf8').digest();
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}

/**
 * One block of Philox4x32-10: four uint32 words.
 * Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11, section 4.3.
 */
export function philox4x32(counter: Counter, key: RandomKey): [number, number, number, number] {
  const words = new Uint32Array(4);
  philoxInto(words, ...counter, ...key);
  const [w0 = 0, w1 = 0, w2 = 0, w3 = 0] = words;
  return [w0, w1, w2, w3];
}

// Every intermediate is an int32, so that the engine keeps the ten rounds in integer registers.
function philoxInto(
  out: Uint32Array,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
): void {
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(c0, 0xd2511f53);
    const low0 = Math.imul(c0, 0xd2511f53);
    const high1 = multiplyHigh(c2, 0xcd9e8d57);
    const low1 = Math.imul(c2, 0xcd9e8d57);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) | 0;
    k1 = (k1 + 0xbb67ae85) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

// The upper 32 bits of a 64-bit product, from four 16-bit products that are each exact.
function multiplyHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const middle = (Math.imul(a1, b0) >>> 0) + (Math.imul(a0, b0) >>> 16);
  const carried = (Math.imul(a0, b1) >>> 0) + (middle & 0xffff);
  return (Math.imul(a1, b1) + (middle >>> 16) + (carried >>> 16)) | 0;
}

// 53 bits out of two words, in [0, 1).
function uniformOf(high: number, low: number): number {
  return ((high >>> 5) * 0x4000000 + (low >>> 6)) / 0x20000000000000;
}

// Counter word 0 counts blocks, so that a position owns 2^32 blocks and never runs into its neighbour.
function positionWords(position: readonly number[]): [number, number, number] {
  const valid =
    position.length <= MAX_POSITION_WORDS && position.every((word) => isInteger(word, 0, TWO_32 - 1));
  if (!valid) {
    const wanted = `at most ${MAX_POSITION_WORDS} integers from 0 to ${TWO_32 - 1}`;
    throw invalidArgument([violation('position', wanted, position)]);
  }
  const [p0 = 0, p1 = 0, p2 = 0] = position;
  return [p0, p1, p2];
}

/** Random numbers taken one after another from one position's blocks. */
export interface RandomStream {
  /** The next word, uniform over 0..2^32-1. */
  uint32(): number;
  /** Uniform in [0, 1) with 53 random bits. */
  uniform(): number;
  /** Uniform over 0..bound-1 without bias, for a bound of 1..2^32. */
  integer(bound: number): number;
}

/**
 * A stream at a position of up to three uint32 words; missing words are 0.
 * @throws INVALID_ARGUMENT for words out of range.
 */
export function randomStream(key: RandomKey, position: readonly number[]): RandomStream {
  const [p0, p1, p2] = positionWords(position);
  const [k0, k1] = key;
  const words = new Uint32Array(4);
  let block = 0;
  let taken = 4;

  function uint32(): number {
    if (taken === 4) {
      philoxInto(words, block, p0, p1, p2, k0, k1);
      block += 1;
      taken = 0;
    }
    return words[taken++] ?? 0;
  }

  function integer(bound: number): number {
    if (!isInteger(bound, 1, TWO_32)) {
      throw invalidArgument([violation('bound', `an integer from 1 to ${TWO_32}`, bound)]);
    }
    // Words past the last whole multiple of the bound would favour small results: draw again.
    const limit = TWO_32 - (TWO_32 % bound);
    for (;;) {
      const word = uint32();
      if (word < limit) return word % bound;
    }
  }

  return { uint32, uniform: () => uniformOf(uint32(), uint32()), integer };
}

/**
 * `length` standard normal values at a position, by Box-Muller in float64 rounded to float32.
 * Block b gives values 2b and 2b+1: u1 from its words 0 and 1, u2 from words 2 and 3, then
 * sqrt(-2 ln(1 - u1)) times cos(2 pi u2) and sin(2 pi u2). A shorter result is a prefix of a longer one.
 * @throws INVALID_ARGUMENT for position words out of range.
 */
export function gaussian(key: RandomKey, position: readonly number[], length: number): Float32Array {
  const [p0, p1, p2] = positionWords(position);
  const [k0, k1] = key;
  const words = new Uint32Array(4);
  const values = new Float32Array(length);
  for (let i = 0; i < length; i += 2) {
    philoxInto(words, i / 2, p0, p1, p2, k0, k1);
    const radius = Math.sqrt(-2 * Math.log(1 - uniformOf(words[0] ?? 0, words[1] ?? 0)));
    const angle = TWO_PI * uniformOf(words[2] ?? 0, words[3] ?? 0);
    values[i] = radius * Math.cos(angle);
    // Past the end of an odd length this write is ignored, as typed arrays have it.
    values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/**
 * A permutation of 0..length-1, every one equally likely (Fisher-Yates from the last place down).
 * @throws INVALID_ARGUMENT for position words out of range.
 */
export function permutation(key: RandomKey, position: readonly number[], length: number): Uint32Array {
  const stream = randomStream(key, position);
  const order = new Uint32Array(length);
  for (let i = 0; i < length; i++) order[i] = i;
  for (let i = length - 1; i > 0; i--) {
    const j = stream.integer(i + 1);
    const kept = order[i] ?? 0;
    order[i] = order[j] ?? 0;
    order[j] = kept;
  }
  return order;
}

/**
 * Two int32 that seed one of TensorFlow's stateless random ops: words 0 and 1 of the position's first block.
 * @throws INVALID_ARGUMENT for a seed or position words out of range.
 */
export function seedPair(seed: bigint, purpose: string, ...position: readonly number[]): [number, number] {
  const [w0, w1] = philox4x32([0, ...positionWords(position)], deriveKey(seed, purpose));
  return [w0 | 0, w1 | 0];
}
