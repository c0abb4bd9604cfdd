/** This project's own kernels: see `native-kernels/`. */
import { input, want, wantCount, wantDtype, wantRank } from './operation.js';
import type { Operation, Operations } from './operation.js';
import type { Output, Value } from '../graph.js';

function images(value: Value): [number, number, number, number] {
  wantDtype(value, 'float32');
  wantRank(value, 4);
  return value.shape as [number, number, number, number];
}

const image = (shape: readonly number[]): Output[] => [{ dtype: 'float32', shape }];

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

export const nativeOperations: Operations = {
  NativeConv3x3: convolution(false),
  NativeBiasedConv3x3: convolution(true),
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
