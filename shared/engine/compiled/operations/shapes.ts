/** Operations that move elements without computing. */
import { sizeOf } from '../graph.js';
import type { Output, Value } from '../graph.js';
import {
  axisOf,
  input,
  intAttribute,
  integerOf,
  integersOf,
  want,
  wantCount,
  wantDtype,
} from './operation.js';
import type { Operations } from './operation.js';

const listed = (shape: readonly number[]): string => `[${shape.join(',')}]`;

function padded(inputs: readonly Value[]): number[] {
  const { shape } = input(inputs, 0);
  const paddings = integersOf(input(inputs, 1));
  want(paddings.length === 2 * shape.length, 'two paddings for each axis', listed(paddings));
  return shape.map((length, axis) => length + (paddings[2 * axis] ?? 0) + (paddings[2 * axis + 1] ?? 0));
}

function like(inputs: readonly Value[], shape: readonly number[]): Output[] {
  return [{ dtype: input(inputs, 0).dtype, shape }];
}

function replaced(shape: readonly number[], axis: number, ...lengths: readonly number[]): number[] {
  return [...shape.slice(0, axis), ...lengths, ...shape.slice(axis + 1)];
}

const moves: Operations = {
  Reshape: {
    types: { T: 0, Tshape: 1 },
    infer: (inputs) => {
      wantCount(inputs, 2);
      const x = input(inputs, 0);
      const shape = integersOf(input(inputs, 1));
      want(sizeOf(shape) === sizeOf(x.shape), `a shape of ${sizeOf(x.shape)} elements`, listed(shape));
      return like(inputs, shape);
    },
  },
  Transpose: {
    types: { T: 0, Tperm: 1 },
    infer: (inputs) => {
      const { shape } = input(inputs, 0);
      const order = integersOf(input(inputs, 1));
      const sorted = [...order].sort((a, b) => a - b);
      want(sorted.join() === [...shape.keys()].join(), `an order of ${shape.length} axes`, listed(order));
      return like(
        inputs,
        order.map((axis) => shape[axis] ?? 0),
      );
    },
  },
  Pack: {
    types: { T: 0 },
    count: { attribute: 'N', besides: 0 },
    infer: (inputs, attributes) => {
      const { shape } = input(inputs, 0);
      for (const value of inputs) want(value.shape.join() === shape.join(), `shapes ${listed(shape)}`, value);
      const axis = axisOf(intAttribute(attributes, 'axis'), shape.length + 1);
      return like(inputs, [...shape.slice(0, axis), inputs.length, ...shape.slice(axis)]);
    },
  },
  Unpack: {
    types: { T: 0 },
    infer: (inputs, attributes) => {
      const { shape, dtype } = input(inputs, 0);
      const axis = axisOf(intAttribute(attributes, 'axis'), shape.length);
      const count = intAttribute(attributes, 'num');
      want(shape[axis] === count, `${count} elements along axis ${axis}`, listed(shape));
      return Array.from({ length: count }, () => ({ dtype, shape: replaced(shape, axis) }));
    },
  },
  ConcatV2: {
    types: { T: 0, Tidx: -1 },
    count: { attribute: 'N', besides: 1 },
    infer: (inputs) => {
      const { shape } = input(inputs, 0);
      const axis = axisOf(integerOf(input(inputs, -1)), shape.length);
      const parts = inputs.slice(0, -1);
      for (const part of parts) {
        const fits = replaced(part.shape, axis).join() === replaced(shape, axis).join();
        want(fits && part.shape.length === shape.length, `${listed(shape)} except along axis ${axis}`, part);
      }
      return like(
        inputs,
        replaced(
          shape,
          axis,
          parts.reduce((sum, part) => sum + (part.shape[axis] ?? 0), 0),
        ),
      );
    },
  },
  SplitV: {
    types: { T: 0, Tlen: 1 },
    infer: (inputs) => {
      const { shape, dtype } = input(inputs, 0);
      const sizes = integersOf(input(inputs, 1));
      const axis = axisOf(integerOf(input(inputs, 2)), shape.length);
      want(
        sizes.reduce((sum, size) => sum + size, 0) === shape[axis],
        `parts of ${shape[axis] ?? 0}`,
        listed(sizes),
      );
      return sizes.map((size) => ({ dtype, shape: replaced(shape, axis, size) }));
    },
  },
  Slice: {
    types: { T: 0, Index: 1 },
    infer: (inputs) => {
      const { shape } = input(inputs, 0);
      const begin = integersOf(input(inputs, 1));
      const size = integersOf(input(inputs, 2));
      const fits = shape.every((length, axis) => (begin[axis] ?? NaN) + (size[axis] ?? NaN) <= length);
      want(fits, `a part of ${listed(shape)}`, `${listed(size)} from ${listed(begin)}`);
      return like(inputs, size);
    },
  },
  PadV2: { types: { T: 0, Tpaddings: 1 }, infer: (inputs) => like(inputs, padded(inputs)) },
  MirrorPad: { types: { T: 0, Tpaddings: 1 }, infer: (inputs) => like(inputs, padded(inputs)) },
  Tile: {
    types: { T: 0, Tmultiples: 1 },
    infer: (inputs) => {
      const { shape } = input(inputs, 0);
      const multiples = integersOf(input(inputs, 1));
      want(
        multiples.length === shape.length,
        `a multiple for each of ${shape.length} axes`,
        listed(multiples),
      );
      return like(
        inputs,
        shape.map((length, axis) => length * (multiples[axis] ?? 1)),
      );
    },
  },
  ReverseV2: {
    types: { T: 0, Tidx: 1 },
    infer: (inputs) => like(inputs, input(inputs, 0).shape),
  },
  GatherV2: {
    types: { Tparams: 0, Tindices: 1, Taxis: 2 },
    infer: (inputs, attributes) => {
      const [x, indices] = [input(inputs, 0), input(inputs, 1)];
      wantDtype(indices, 'int32');
      const axis = axisOf(integerOf(input(inputs, 2)), x.shape.length);
      return like(
        inputs,
        replaced(x.shape, axis, ...indices.shape.slice(intAttribute(attributes, 'batch_dims'))),
      );
    },
  },
  UnsortedSegmentSum: {
    types: { T: 0, Tindices: 1, Tnumsegments: 2 },
    infer: (inputs) => {
      const [x, ids] = [input(inputs, 0), input(inputs, 1)];
      wantDtype(ids, 'int32');
      return like(inputs, [integerOf(input(inputs, 2)), ...x.shape.slice(ids.shape.length)]);
    },
  },
};

export const shapeOperations: Operations = {
  ...Object.fromEntries(
    Object.entries(moves).map(([name, operation]) => [name, { ...operation, sharesMemory: true }]),
  ),
  Fill: {
    types: { T: 1, index_type: 0 },
    infer: (inputs) => [{ dtype: input(inputs, 1).dtype, shape: integersOf(input(inputs, 0)) }],
  },
  TopKV2: {
    types: { T: 0 },
    infer: (inputs) => {
      const { dtype, shape } = input(inputs, 0);
      const [count, length = 0] = [integerOf(input(inputs, 1)), shape.at(-1)];
      want(count <= length, `at most ${length} elements of the last axis`, String(count));
      const taken = [...shape.slice(0, -1), count];
      return [
        { dtype, shape: taken },
        { dtype: 'int32', shape: taken },
      ];
    },
  },
  OneHot: {
    types: { TI: 0, T: 2 },
    infer: (inputs) => {
      const indices = input(inputs, 0);
      return [{ dtype: input(inputs, 2).dtype, shape: [...indices.shape, integerOf(input(inputs, 1))] }];
    },
  },
};
