/** Rules of operations that move elements. */
import { axisOf, intAttribute, textAttribute } from '../../compiled/operations/operation.js';
import { number, numbers, resultShape } from './rule.js';
import type { NodeCall, Rules } from './rule.js';
import type { Hlo, Writer } from './writer.js';

/** A part of one axis. */
function part(hlo: Writer, x: Hlo, axis: number, begin: number, length: number): Hlo {
  const begins = x.shape.map((_, i) => (i === axis ? begin : 0));
  return hlo.slice(
    x,
    begins,
    x.shape.map((each, i) => (i === axis ? length : each)),
  );
}

/** Paddings before and after each axis. */
function paddings(call: NodeCall): [low: number[], high: number[]] {
  const flat = numbers(call, 1);
  const side = (which: 0 | 1): number[] => flat.filter((_, i) => i % 2 === which);
  return [side(0), side(1)];
}

export const shapeRules: Rules = {
  Identity: ({ x }) => x(0),
  Reshape: (call) => call.hlo.reshape(call.x(0), resultShape(call)),
  Transpose: (call) => call.hlo.transpose(call.x(0), numbers(call, 1)),
  Pack: (call) => {
    const { hlo, inputs, attributes } = call;
    const rank = resultShape(call).length;
    const axis = axisOf(intAttribute(attributes, 'axis'), rank);
    const one = resultShape(call).map((length, i) => (i === axis ? 1 : length));
    return hlo.concatenate(
      inputs.map((_, i) => hlo.reshape(call.x(i), one)),
      axis,
    );
  },
  Unpack: ({ hlo, x, attributes, outputs }) => {
    const axis = axisOf(intAttribute(attributes, 'axis'), x(0).shape.length);
    return outputs.map(({ shape }, i) => hlo.reshape(part(hlo, x(0), axis, i, 1), shape));
  },
  ConcatV2: (call) => {
    const axis = axisOf(number(call, -1), call.inputs[0]?.shape.length ?? 0);
    return call.hlo.concatenate(
      call.inputs.slice(0, -1).map((_, i) => call.x(i)),
      axis,
    );
  },
  SplitV: (call) => {
    const x = call.x(0);
    const axis = axisOf(number(call, 2), x.shape.length);
    let begin = 0;
    return numbers(call, 1).map((length) => {
      begin += length;
      return part(call.hlo, x, axis, begin - length, length);
    });
  },
  Slice: (call) => call.hlo.slice(call.x(0), numbers(call, 1), resultShape(call)),
  PadV2: (call) => call.hlo.pad(call.x(0), call.x(2), ...paddings(call)),
  // REFLECT leaves the edge out of what it repeats, SYMMETRIC doesn't.
  MirrorPad: (call) => {
    const { hlo, attributes } = call;
    const skipped = textAttribute(attributes, 'mode') === 'REFLECT' ? 1 : 0;
    const [low, high] = paddings(call);
    return low.reduce((x, before, axis) => {
      const [after, length] = [high[axis] ?? 0, x.shape[axis] ?? 0];
      const mirrored = (begin: number, size: number): Hlo[] =>
        size === 0 ? [] : [hlo.reverse(part(hlo, x, axis, begin, size), [axis])];
      const end = length - skipped - after;
      return hlo.concatenate([...mirrored(skipped, before), x, ...mirrored(end, after)], axis);
    }, call.x(0));
  },
  Tile: (call) => {
    const { hlo } = call;
    const x = call.x(0);
    const repeated = numbers(call, 1);
    // Each axis behind one of its repetitions.
    const spread = hlo.reshape(
      x,
      x.shape.flatMap((length) => [1, length]),
    );
    const tiled = hlo.broadcast(
      spread,
      x.shape.flatMap((length, axis) => [repeated[axis] ?? 1, length]),
    );
    return hlo.reshape(tiled, resultShape(call));
  },
  ReverseV2: (call) => {
    const { shape } = call.x(0);
    const axes = numbers(call, 1).map((axis) => axisOf(axis, shape.length));
    return axes.length === 0 ? call.x(0) : call.hlo.reverse(call.x(0), axes);
  },
  // TensorFlow refuses indices outside of the axis; here they are clamped.
  GatherV2: (call) => {
    if (intAttribute(call.attributes, 'batch_dims') !== 0) throw new Error('wanted no batch_dims');
    return call.hlo.gather(call.x(0), call.x(1), axisOf(number(call, 2), call.x(0).shape.length));
  },
  TopKV2: (call) => {
    const { hlo } = call;
    const x = call.x(0);
    return hlo.descending(x).map((all) => part(hlo, all, x.shape.length - 1, 0, number(call, 1)));
  },
  // By a product with a matrix of ones and zeros: the same bits in every run, and no scatter, which sorts on a GPU. Rows of
  // negative ids are dropped, as TensorFlow drops them.
  UnsortedSegmentSum: (call) => {
    const { hlo } = call;
    const [x, ids] = [call.x(0), call.x(1)];
    const count = number(call, 2);
    const rows = ids.shape.reduce((product, length) => product * length, 1);
    const rest = x.shape.slice(ids.shape.length);
    const segments = hlo.iota('int32', [count, rows], 0);
    const chosen = hlo.compare('EQ', segments, hlo.reshape(ids, [1, rows]));
    const flat = hlo.reshape(x, [rows, rest.reduce((product, length) => product * length, 1)]);
    return hlo.reshape(hlo.dot(hlo.convert(chosen, x.dtype), flat, [], [[1, 0]]), [count, ...rest]);
  },
  Fill: (call) => call.hlo.broadcast(call.x(1), resultShape(call)),
  OneHot: (call) => {
    const { hlo } = call;
    const indices = call.x(0);
    const shape = resultShape(call);
    const places = hlo.iota('int32', shape, shape.length - 1);
    const chosen = hlo.compare('EQ', places, hlo.reshape(indices, [...indices.shape, 1]));
    return hlo.select(chosen, call.x(2), call.x(3));
  },
};
