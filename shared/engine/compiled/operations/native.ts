/** This project's own kernels: see `native-kernels/`. */
import {
  boolAttribute,
  input,
  intAttribute,
  intsAttribute,
  want,
  wantCount,
  wantDtype,
  wantRank,
} from './operation.js';
import type { Operation, Operations } from './operation.js';
import { sizeOf } from '../graph.js';
import { nativeKernels } from '../native-kernels.js';
import type { NativeKernels } from '../native-kernels.js';
import type { Attributes, Output, Value } from '../graph.js';

function images(value: Value): [number, number, number, number] {
  wantDtype(value, 'float32');
  wantRank(value, 4);
  return value.shape as [number, number, number, number];
}

const image = (shape: readonly number[]): Output[] => [{ dtype: 'float32', shape }];

/** The library, which alone knows what its kernels make for each other. @throws Error where the process has none. */
function library(): NativeKernels {
  const kernels = nativeKernels();
  if (kernels === undefined) throw new Error("wanted the library of the engine's own kernels; there is none");
  return kernels;
}

const transformedShape = (
  width: number,
  channels: readonly [number, number],
  attributes: Attributes,
): number[] => library().transformedFilter(width, channels, boolAttribute(attributes, 'pairs'));

const packedShape = (depth: number, out: number, attributes: Attributes): number[] =>
  library().packedFilter(depth, out, boolAttribute(attributes, 'pairs'));

const transformedConvolution = (biased: boolean): Operation => ({
  types: {},
  infer: (inputs, attributes) => {
    wantCount(inputs, biased ? 3 : 2);
    const [n, height, width, channels] = images(input(inputs, 0));
    const filter = input(inputs, 1);
    const out = filter.shape[2] ?? 0;
    const wanted = transformedShape(width, [channels, out], attributes);
    want(filter.shape.join() === wanted.join(), `a transformed filter [${wanted.join()}]`, filter);
    if (biased) want(input(inputs, 2).shape.join() === String(out), `${out} values`, input(inputs, 2));
    return image([n, height, width, out]);
  },
});

const convolution = (biased: boolean): Operation => ({
  types: {},
  infer: (inputs) => {
    wantCount(inputs, biased ? 3 : 2);
    const [n, height, width, channels] = images(input(inputs, 0));
    const filter = input(inputs, 1);
    const out = filter.shape[3] ?? 0;
    want(filter.shape.join() === [3, 3, channels, out].join(), `a filter [3,3,${channels},*]`, filter);
    if (biased) want(input(inputs, 2).shape.join() === String(out), `${out} values`, input(inputs, 2));
    return image([n, height, width, out]);
  },
});

const packedConvolution = (biased: boolean): Operation => ({
  types: {},
  infer: (inputs, attributes) => {
    wantCount(inputs, biased ? 3 : 2);
    const [x, packed] = [input(inputs, 0), input(inputs, 1)];
    wantDtype(x, 'float32');
    want([2, 4].includes(x.shape.length), 'images, or rows', x);
    const out = intAttribute(attributes, 'out');
    const [window, padding] = [intsAttribute(attributes, 'window'), intsAttribute(attributes, 'padding')];
    const depth = sizeOf(window) * (x.shape.at(-1) ?? 0);
    const wanted = packedShape(depth, out, attributes);
    want(packed.shape.join() === wanted.join(), `a packed filter [${wanted.join()}]`, packed);
    if (biased) want(input(inputs, 2).shape.join() === String(out), `${out} values`, input(inputs, 2));
    const stride = intAttribute(attributes, 'stride');
    const pixels = x.shape
      .slice(1, -1)
      .map((length, i) => Math.floor((length + (padding[i] ?? 0) - (window[i] ?? 1)) / stride) + 1);
    return image([x.shape[0] ?? 0, ...pixels, out]);
  },
});

function groupNorm(gradient: boolean): Operation {
  return {
    types: {},
    infer: (inputs, attributes) => {
      wantCount(inputs, gradient ? 6 : 3);
      const [x, gain, offset] = [input(inputs, 0), input(inputs, 1), input(inputs, 2)];
      const [n, , , channels] = images(x);
      const rows = gain.shape[0] ?? 0;
      want([1, n].includes(rows) && gain.shape[1] === channels, `a gain [1 or ${n},${channels}]`, gain);
      want(offset.shape.join() === gain.shape.join(), "an offset of the gain's shape", offset);
      const statistics = [n, intAttribute(attributes, 'count')];
      return gradient
        ? [x, gain, gain].map(({ shape }) => ({ dtype: 'float32', shape }))
        : [x.shape, statistics, statistics].map((shape) => ({ dtype: 'float32', shape }));
    },
  };
}

const attention = (gradient: boolean): Operation => ({
  types: {},
  infer: (inputs, attributes) => {
    wantCount(inputs, gradient ? 2 : 1);
    const qkv = input(inputs, 0);
    wantDtype(qkv, 'float32');
    wantRank(qkv, 3);
    const [n = 0, pixels = 0, channels = 0] = qkv.shape;
    want(channels % (3 * intAttribute(attributes, 'count')) === 0, 'q, k and v of every head', qkv);
    return image(gradient ? qkv.shape : [n, pixels, channels / 3]);
  },
});

export const nativeOperations: Operations = {
  NativeAdam: {
    types: {},
    count: { attribute: 'count', besides: 6 },
    stateful: true,
    infer: (inputs) => {
      const [rates, gradient] = [input(inputs, 1), input(inputs, 2)];
      want(rates.shape.join() === String(inputs.length - 3), `${inputs.length - 3} rates`, rates);
      for (const variable of inputs.slice(3)) {
        want(variable.shape.join() === gradient.shape.join(), "variables of the gradient's shape", variable);
      }
      return [];
    },
  },
  NativeSumOfSquares: {
    types: {},
    infer: (inputs) => {
      wantCount(inputs, 1);
      wantDtype(input(inputs, 0), 'float32');
      return [{ dtype: 'float32', shape: [] }];
    },
  },
  NativeAttention: attention(false),
  NativeAttentionGradient: attention(true),
  NativeGroupNorm: groupNorm(false),
  NativeGroupNormGradient: groupNorm(true),
  NativeGroupNormSilu: groupNorm(false),
  NativeGroupNormSiluGradient: groupNorm(true),
  NativeConv3x3: convolution(false),
  NativeBiasedConv3x3: convolution(true),
  NativeTransformedFilter: {
    types: {},
    infer: (inputs, attributes) => {
      wantCount(inputs, 1);
      const [height, width, inChannels, outChannels] = images(input(inputs, 0));
      want(height === 3 && width === 3, 'a filter [3,3,*,*]', input(inputs, 0));
      const [, imageWidth = 0] = intsAttribute(attributes, 'image');
      return image(transformedShape(imageWidth, [inChannels, outChannels], attributes));
    },
  },
  NativePackedFilter: {
    types: {},
    infer: (inputs, attributes) => {
      wantCount(inputs, 1);
      const { shape } = input(inputs, 0);
      wantDtype(input(inputs, 0), 'float32');
      return image(packedShape(sizeOf(shape.slice(0, -1)), shape.at(-1) ?? 0, attributes));
    },
  },
  NativePackedConvolution: packedConvolution(false),
  NativeBiasedPackedConvolution: packedConvolution(true),
  NativeTransformedConv3x3: transformedConvolution(false),
  NativeBiasedTransformedConv3x3: transformedConvolution(true),
  NativeConv3x3InputGradient: {
    types: {},
    infer: (inputs) => {
      wantCount(inputs, 2);
      const [filter, dy] = [input(inputs, 0), input(inputs, 1)];
      const [n, height, width, channels] = images(dy);
      want(filter.shape[3] === channels, `a filter [3,3,*,${channels}]`, filter);
      return image([n, height, width, filter.shape[2] ?? 0]);
    },
  },
  NativeConv3x3FilterGradient: {
    types: {},
    infer: (inputs) => {
      wantCount(inputs, 2);
      const [x, dy] = [input(inputs, 0), input(inputs, 1)];
      const [inChannels, outChannels] = [images(x)[3], images(dy)[3]];
      want(x.shape.slice(0, 3).join() === dy.shape.slice(0, 3).join(), 'as many pixels as of x', dy);
      return image([3, 3, inChannels, outChannels]);
    },
  },
};
