/** The golden evaluator's graph, and graphs that are wrong. */
import { DataType } from '../../shared/engine/generated/api.js';
import { placeholder, rawGraph, type RawNode } from '../../shared/engine/compiled/raw-graph.js';
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
