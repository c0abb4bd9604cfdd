/** The golden evaluator's graph, and graphs that are wrong. */
import { DataType } from '../../shared/engine/generated/api.js';
import { integers, placeholder, rawGraph, type RawNode } from '../../shared/engine/compiled/raw-graph.js';
import { fileURLToPath } from 'node:url';

export const GRAPH = fileURLToPath(
  new URL('../golden/data/evaluator/classify_image_graph_def.pb', import.meta.url),
);

const T = { type: DataType.DT_FLOAT };
const identity = (name: string, input: string): RawNode => ({
  ...{ name, op: 'Identity', inputs: [input], attributes: { T } },
});

/** Has the wanted names, but computes nothing. */
const NAMED = [
  placeholder('ExpandDims', DataType.DT_FLOAT),
  identity('pool_3', 'ExpandDims'),
  identity('mixed_6/conv', 'pool_3'),
];

const STRING = { type: DataType.DT_STRING };
const INT32 = { type: DataType.DT_INT32 };

/**
 * As the reference's graph begins: a JPEG is decoded to one image, which each run replaces by a batch. The features are the
 * images' mean colours.
 */
export const DECODING_GRAPH = rawGraph([
  { name: 'contents', op: 'Placeholder', inputs: [], attributes: { dtype: STRING } },
  { name: 'DecodeJpeg', op: 'DecodeJpeg', inputs: ['contents'], attributes: { channels: { int: 3 } } },
  {
    ...{ name: 'Cast', op: 'Cast', inputs: ['DecodeJpeg'] },
    attributes: { SrcT: { type: DataType.DT_UINT8 }, DstT: T },
  },
  integers('dim', [0]),
  { name: 'ExpandDims', op: 'ExpandDims', inputs: ['Cast', 'dim'], attributes: { T, Tdim: INT32 } },
  integers('places', [1, 2]),
  {
    ...{ name: 'pool_3', op: 'Mean', inputs: ['ExpandDims', 'places'] },
    attributes: { T, Tidx: INT32, keep_dims: { bool: true } },
  },
  identity('mixed_6/conv', 'ExpandDims'),
  integers('colours', [-1, 3]),
  { name: 'rows', op: 'Reshape', inputs: ['pool_3', 'colours'], attributes: { T, Tshape: INT32 } },
  integers('numbers', [1, 0, 0, 1, 0, 0]),
  { name: 'floats', op: 'Cast', inputs: ['numbers'], attributes: { SrcT: INT32, DstT: T } },
  integers('threeByTwo', [3, 2]),
  { name: 'weights', op: 'Reshape', inputs: ['floats', 'threeByTwo'], attributes: { T, Tshape: INT32 } },
  { name: 'softmax/logits/MatMul', op: 'MatMul', inputs: ['rows', 'weights'], attributes: { T } },
]);

export const WRONG_GRAPHS: readonly (readonly [what: string, bytes: Uint8Array, message: RegExp])[] = [
  [
    'without a node',
    rawGraph(NAMED),
    /wanted nodes ExpandDims, pool_3, mixed_6\/conv, softmax\/logits\/MatMul; got none named softmax\/logits\/MatMul/,
  ],
  [
    'that reads a file',
    rawGraph([
      ...NAMED.slice(0, 1),
      { name: 'read', op: 'ReadFile', inputs: ['ExpandDims'], attributes: {} },
      identity('pool_3', 'read'),
      identity('mixed_6/conv', 'pool_3'),
      identity('softmax/logits/MatMul', 'pool_3'),
    ]),
    /operations that only compute; got "ReadFile" at the node "read"/,
  ],
  [
    'whose node takes one that is missing',
    rawGraph([...NAMED, identity('softmax/logits/MatMul', 'nowhere')]),
    /a node "nowhere", which another one takes; got none/,
  ],
  [
    'of an operation that TensorFlow refuses',
    rawGraph([
      ...NAMED,
      { name: 'softmax/logits/MatMul', op: 'MatMul', inputs: ['pool_3'], attributes: { T } },
    ]),
    /a graph that TensorFlow runs/,
  ],
  ['of other bytes', Buffer.from('not a graph at all'), /a GraphDef of TensorFlow; got other bytes/],
];
