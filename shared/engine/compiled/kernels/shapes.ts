/** Kernels that move elements without computing, and random numbers. */
import { sizeOf } from '../graph.js';
import { attribute, axesOf, listed, reshaped, taken, wholeShape } from './rule.js';
import type { KernelRule, KernelRules } from './rule.js';

const randomNumbers =
  (op: string): KernelRule =>
  (call) => {
    const shape = call.graph.integers(attribute<number[]>(call, 'shape'));
    return call.graph.one(op, [shape, taken(call, 'seed')], { dtype: { dtype: 'float32' } });
  };

export const shapeKernels: KernelRules = {
  BroadcastTo: (call) => {
    const x = taken(call, 'x');
    const shape = attribute<number[]>(call, 'shape');
    const aligned = [...Array<number>(shape.length - x.shape.length).fill(1), ...x.shape];
    const reps = shape.map((length, axis) => length / (aligned[axis] ?? 1));
    return call.graph.one('Tile', [reshaped(call.graph, x, aligned), call.graph.integers(reps)]);
  },
  Concat: (call) => {
    const parts = listed(call).filter(({ shape }) => sizeOf(shape) > 0);
    const [only, ...others] = parts;
    if (only !== undefined && others.length === 0) return only;
    return call.graph.one('ConcatV2', [...parts, call.graph.integers(attribute<number>(call, 'axis'))]);
  },
  ExpandDims: (call) => {
    const x = taken(call, 'input');
    const dim = attribute<number>(call, 'dim');
    const axis = dim < 0 ? dim + x.shape.length + 1 : dim;
    return reshaped(call.graph, x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
  },
  Fill: (call) => {
    const shape = attribute<number[]>(call, 'shape');
    const value = attribute<number>(call, 'value');
    const dtype = attribute<string | undefined>(call, 'dtype') ?? 'float32';
    const filling = dtype === 'int32' ? call.graph.integers(value) : call.graph.float(value);
    return call.graph.one('Fill', [call.graph.integers(shape), filling]);
  },
  GatherV2: (call) => {
    const axis = call.graph.integers(attribute<number>(call, 'axis'));
    return call.graph.one('GatherV2', [taken(call, 'x'), taken(call, 'indices'), axis], {
      batch_dims: { int: attribute<number | undefined>(call, 'batchDims') ?? 0 },
    });
  },
  MirrorPad: (call) => {
    const mode = attribute<string>(call, 'mode').toUpperCase();
    const paddings = call.graph.constant(pairs(attribute<[number, number][]>(call, 'paddings')));
    return call.graph.one('MirrorPad', [taken(call, 'x'), paddings], { mode: { text: mode } });
  },
  OneHot: (call) => {
    const { graph } = call;
    const number = attribute<string>(call, 'dtype') === 'int32' ? graph.integers : graph.float;
    const ends = [number(attribute<number>(call, 'onValue')), number(attribute<number>(call, 'offValue'))];
    const depth = graph.integers(attribute<number>(call, 'depth'));
    return graph.one('OneHot', [taken(call, 'indices'), depth, ...ends], { axis: { int: -1 } });
  },
  Pack: (call) => call.graph.one('Pack', listed(call), { axis: { int: attribute<number>(call, 'axis') } }),
  PadV2: (call) => {
    const paddings = call.graph.constant(pairs(attribute<[number, number][]>(call, 'paddings')));
    return call.graph.one('PadV2', [
      taken(call, 'x'),
      paddings,
      call.graph.float(attribute<number>(call, 'constantValue')),
    ]);
  },
  Reshape: (call) => {
    const x = taken(call, 'x');
    return reshaped(call.graph, x, wholeShape(attribute<number[]>(call, 'shape'), sizeOf(x.shape)));
  },
  Reverse: (call) => {
    const x = taken(call, 'x');
    const axes = axesOf(attribute<number | number[]>(call, 'dims'), x.shape.length);
    return call.graph.one('ReverseV2', [x, call.graph.integers(axes)]);
  },
  Slice: (call) => {
    const x = taken(call, 'x');
    const begins = [attribute<number | number[]>(call, 'begin')].flat();
    const sizes = [attribute<number | number[]>(call, 'size')].flat();
    const begin = x.shape.map((_, axis) => begins[axis] ?? 0);
    // Without a size, or with -1, all that is left.
    const size = x.shape.map((length, axis) => {
      const wanted = sizes[axis] ?? -1;
      return wanted === -1 ? length - (begin[axis] ?? 0) : wanted;
    });
    return call.graph.one('Slice', [x, call.graph.integers(begin), call.graph.integers(size)]);
  },
  SplitV: (call) => {
    const x = taken(call, 'x');
    const [axis = 0] = axesOf(attribute<number>(call, 'axis'), x.shape.length);
    const sizes = partSizes(attribute<number | number[]>(call, 'numOrSizeSplits'), x.shape[axis] ?? 0);
    return call.graph.add('SplitV', [x, call.graph.integers(sizes), call.graph.integers(axis)], {
      num_split: { int: sizes.length },
    });
  },
  StatelessRandomNormal: randomNumbers('StatelessRandomNormal'),
  StatelessRandomUniform: randomNumbers('StatelessRandomUniform'),
  StreamNormal: (call) =>
    call.graph.one('StreamNormal', [taken(call, 'key'), taken(call, 'position')], {
      length: { int: attribute<number>(call, 'length') },
    }),
  Tile: (call) =>
    call.graph.one('Tile', [taken(call, 'x'), call.graph.integers(attribute<number[]>(call, 'reps'))]),
  TopK: (call) => {
    const inputs = [taken(call, 'x'), call.graph.integers(attribute<number>(call, 'k'))];
    return call.graph.add('TopKV2', inputs, { sorted: { bool: attribute<boolean>(call, 'sorted') } });
  },
  Transpose: (call) => {
    const order = call.graph.integers(attribute<number[]>(call, 'perm'));
    return call.graph.one('Transpose', [taken(call, 'x'), order]);
  },
  Unpack: (call) => {
    const value = taken(call, 'value');
    const axis = attribute<number>(call, 'axis');
    const count = value.shape[axis < 0 ? axis + value.shape.length : axis] ?? 0;
    return call.graph.add('Unpack', [value], { num: { int: count }, axis: { int: axis } });
  },
  UnsortedSegmentSum: (call) => {
    const count = call.graph.integers(attribute<number>(call, 'numSegments'));
    return call.graph.one('UnsortedSegmentSum', [taken(call, 'x'), taken(call, 'segmentIds'), count]);
  },
};

/** Sizes of so many equal parts, or of the given parts, one of which may be -1 for the rest. */
function partSizes(parts: number | readonly number[], length: number): number[] {
  if (typeof parts === 'number') return Array<number>(parts).fill(length / parts);
  const known = parts.filter((size) => size !== -1).reduce((sum, size) => sum + size, 0);
  return parts.map((size) => (size === -1 ? length - known : size));
}

function pairs(values: readonly (readonly [number, number])[]) {
  return { dtype: 'int32', shape: [values.length, 2], values: Int32Array.from(values.flat()) } as const;
}
