/** Calls of the convolutions' kernels that don't fit. */
import type { Attributes } from '../../../shared/engine/compiled/graph.js';
import { lanes, NUMBERS } from './one-node.js';
import type { Shape, WrongCall } from './one-node.js';

const HALF = lanes / 2;
const PAIRS: Attributes = { low_precision: { bool: true }, pairs: { bool: true } };
const image: Shape = [2, 5, 7, lanes];
const filter: Shape = [3, 3, lanes, lanes];
const transformed: Shape = [16, lanes, lanes];
const geometry = (window: Shape, padding: Shape, stride = 1, out = 16): Attributes => ({
  ...NUMBERS,
  ...{ window: { ints: window }, padding: { ints: padding }, stride: { int: stride }, out: { int: out } },
});

export const wrongConvolutions: readonly WrongCall[] = [
  {
    title: 'channels between lanes',
    op: 'NativeConv3x3',
    inputs: [
      [2, 5, 7, HALF],
      [3, 3, HALF, lanes],
    ],
    refusal: /multiple of \d+ channels in/,
  },
  {
    title: 'channels out between lanes',
    op: 'NativeConv3x3',
    inputs: [image, [3, 3, lanes, HALF]],
    refusal: /multiple of \d+ channels out/,
  },
  {
    title: 'a filter of other channels',
    op: 'NativeConv3x3',
    inputs: [image, [3, 3, 2 * lanes, lanes]],
    refusal: /filter of \[3,3,/,
  },
  {
    title: 'a larger window',
    op: 'NativeConv3x3',
    inputs: [image, [5, 5, lanes, lanes]],
    refusal: /filter of \[3,3,/,
  },
  {
    title: 'images of three axes',
    op: 'NativeConv3x3',
    inputs: [[5, 7, lanes], filter],
    refusal: /x of \[\*,\*,\*,\*\]/,
  },
  {
    title: 'no images',
    op: 'NativeConv3x3',
    inputs: [[0, 5, 7, lanes], filter],
    refusal: /x of \[\*,\*,\*,\*\]/,
  },
  {
    title: 'a bias of fewer channels',
    op: 'NativeBiasedConv3x3',
    inputs: [image, filter, [HALF]],
    refusal: /bias of/,
  },
  {
    title: 'a gradient of other channels',
    op: 'NativeConv3x3InputGradient',
    inputs: [[3, 3, lanes, 2 * lanes], image],
    refusal: /filter of/,
  },
  {
    title: 'a gradient of fewer images',
    op: 'NativeConv3x3FilterGradient',
    inputs: [image, [1, 5, 7, lanes]],
    refusal: /dy of/,
  },
  {
    title: 'a filter for no image',
    op: 'NativeTransformedFilter',
    inputs: [filter],
    attributes: { ...NUMBERS, image: { ints: [0, 0] } },
    refusal: /image of one pixel/,
  },
  {
    title: 'an image of one number',
    op: 'NativeTransformedFilter',
    inputs: [filter],
    attributes: { ...NUMBERS, image: { ints: [4] } },
    refusal: /two numbers/,
  },
  {
    title: 'too few frequencies',
    op: 'NativeTransformedConv3x3',
    inputs: [image, [15, lanes, lanes]],
    refusal: /u of \[16,/,
  },
  {
    title: 'a filter of pairs for floats',
    op: 'NativeTransformedConv3x3',
    inputs: [image, [16, HALF, lanes]],
    refusal: /u of \[16,/,
  },
  {
    title: 'a filter of floats for pairs',
    op: 'NativeTransformedConv3x3',
    inputs: [image, transformed],
    attributes: PAIRS,
    refusal: /u of \[16,/,
  },
  {
    title: 'a bias of two axes',
    op: 'NativeBiasedTransformedConv3x3',
    inputs: [image, transformed, [1, lanes]],
    refusal: /bias of/,
  },
  { title: 'a filter of one axis', op: 'NativePackedFilter', inputs: [[9]], refusal: /two axes/ },
  {
    title: 'a packed filter of too few words',
    op: 'NativePackedConvolution',
    inputs: [
      [3, 20],
      [10, 16],
    ],
    attributes: geometry([1, 1], [0, 0]),
    refusal: /packed of \[20,16\]/,
  },
  {
    title: 'a packed filter of too few columns',
    op: 'NativePackedConvolution',
    inputs: [
      [3, 20],
      [20, 16],
    ],
    attributes: geometry([1, 1], [0, 0], 1, 17),
    refusal: /packed of \[20,32\]/,
  },
  {
    title: 'a window larger than the image',
    op: 'NativePackedConvolution',
    inputs: [
      [1, 2, 2, 1],
      [25, 16],
    ],
    attributes: geometry([5, 5], [0, 0]),
    refusal: /as large as the window/,
  },
  {
    title: 'no stride',
    op: 'NativePackedConvolution',
    inputs: [
      [3, 20],
      [20, 16],
    ],
    attributes: geometry([1, 1], [0, 0], 0),
    refusal: /a stride/,
  },
  {
    title: 'padding below 0',
    op: 'NativePackedConvolution',
    inputs: [
      [3, 20],
      [20, 16],
    ],
    attributes: geometry([1, 1], [-1, 0]),
    refusal: /padding/,
  },
  {
    title: 'padded rows',
    op: 'NativePackedConvolution',
    inputs: [
      [3, 20],
      [20, 16],
    ],
    attributes: geometry([1, 1], [2, 2]),
    refusal: /one pixel out/,
  },
  {
    title: 'a window of three axes',
    op: 'NativePackedConvolution',
    inputs: [
      [3, 20],
      [20, 16],
    ],
    attributes: geometry([1, 1, 1], [0, 0]),
    refusal: /two numbers/,
  },
  {
    title: 'images of five axes',
    op: 'NativePackedConvolution',
    inputs: [
      [1, 1, 1, 1, 20],
      [20, 16],
    ],
    attributes: geometry([1, 1], [0, 0]),
    refusal: /x of/,
  },
  {
    title: 'a bias of more channels',
    op: 'NativeBiasedPackedConvolution',
    inputs: [[3, 20], [20, 16], [17]],
    attributes: geometry([1, 1], [0, 0]),
    refusal: /bias of/,
  },
];
