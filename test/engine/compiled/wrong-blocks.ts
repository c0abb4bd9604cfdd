/** Calls of the kernels for group norm, attention and updates that don't fit. */
import type { Attributes } from '../../../shared/engine/compiled/graph.js';
import { adam, lanes } from './one-node.js';
import type { Shape, WrongCall } from './one-node.js';

const HALF = lanes / 2;
const image: Shape = [2, 5, 7, lanes];
const norm: readonly Shape[] = [image, [1, lanes], [1, lanes]];
const groups = (count: number): Attributes => ({ count: { int: count } });
const heads = (count: number): Attributes => ({
  ...{ count: { int: count }, parts_first: { bool: true }, low_precision: { bool: false } },
});
const qkv: Shape = [1, lanes, 3 * lanes];

export const wrongBlocks: readonly WrongCall[] = [
  {
    title: 'channels between lanes',
    op: 'NativeGroupNorm',
    inputs: [
      [2, 5, 7, lanes + HALF],
      [1, lanes + HALF],
      [1, lanes + HALF],
    ],
    attributes: groups(2),
    refusal: /multiple of \d+ channels/,
  },
  {
    title: 'groups that leave channels over',
    op: 'NativeGroupNorm',
    inputs: norm,
    attributes: groups(3),
    refusal: /equally many channels/,
  },
  {
    title: 'no groups',
    op: 'NativeGroupNormSilu',
    inputs: norm,
    attributes: groups(0),
    refusal: /equally many channels/,
  },
  {
    title: 'a gain of fewer channels',
    op: 'NativeGroupNorm',
    inputs: [image, [1, HALF], [1, HALF]],
    attributes: groups(2),
    refusal: /gain of/,
  },
  {
    title: 'gains of other images',
    op: 'NativeGroupNorm',
    inputs: [image, [3, lanes], [3, lanes]],
    attributes: groups(2),
    refusal: /gain of/,
  },
  {
    title: 'an offset unlike the gain',
    op: 'NativeGroupNormSilu',
    inputs: [image, [2, lanes], [1, lanes]],
    attributes: groups(2),
    refusal: /offset of/,
  },
  {
    title: 'means of fewer groups',
    op: 'NativeGroupNormGradient',
    inputs: [...norm, [2, 1], [2, 2], image],
    attributes: groups(2),
    refusal: /mean of/,
  },
  {
    title: 'a gradient of fewer pixels',
    op: 'NativeGroupNormSiluGradient',
    inputs: [...norm, [2, 2], [2, 2], [2, 5, 6, lanes]],
    attributes: groups(2),
    refusal: /dy of/,
  },
  {
    title: 'channels of a head between lanes',
    op: 'NativeAttention',
    inputs: [qkv],
    attributes: heads(2),
    refusal: /multiple of \d+ channels of a head/,
  },
  { title: 'no heads', op: 'NativeAttention', inputs: [qkv], attributes: heads(0), refusal: /one head/ },
  {
    title: 'pixels between lanes',
    op: 'NativeAttention',
    inputs: [[1, HALF, 3 * lanes]],
    attributes: heads(1),
    refusal: /multiple of \d+ pixels/,
  },
  {
    title: 'channels that are not three of anything',
    op: 'NativeAttention',
    inputs: [[1, lanes, lanes]],
    attributes: heads(1),
    refusal: /q, k and v/,
  },
  {
    title: 'a gradient of fewer channels',
    op: 'NativeAttentionGradient',
    inputs: [
      [1, lanes, 6 * lanes],
      [1, lanes, lanes],
    ],
    attributes: heads(1),
    refusal: /dy of/,
  },
];

export const wrongUpdates: readonly WrongCall[] = [
  {
    title: 'a variable of another size',
    op: 'NativeAdam',
    inputs: [[], [3], [8], [8], [8], [7]],
    attributes: adam(0),
    refusal: /v of \[8\]/,
  },
  {
    title: 'an average of another size',
    op: 'NativeAdam',
    inputs: [[], [4], [8], [8], [8], [8], [9]],
    attributes: adam(1),
    refusal: /average of \[8\]/,
  },
  {
    title: 'too few rates',
    op: 'NativeAdam',
    inputs: [[], [3], [8], [8], [8], [8], [8]],
    attributes: adam(1),
    refusal: /rates of \[4\]/,
  },
  {
    title: 'two numbers to commit by',
    op: 'NativeAdam',
    inputs: [[2], [3], [8], [8], [8], [8]],
    attributes: adam(0),
    refusal: /whether to commit/,
  },
];
