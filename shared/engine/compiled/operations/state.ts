/** Operations at a graph's edges: constants, inputs, variables, control, random numbers. */
import { describeOutput } from '../graph.js';
import type { Attributes, Output } from '../graph.js';
import { dtypeAttribute, input, intAttribute, integersOf, want, wantCount, wantDtype } from './operation.js';
import type { Operation, Operations } from './operation.js';

function shapeAttribute(attributes: Attributes): readonly number[] {
  const attribute = attributes['shape'];
  if (attribute === undefined || !('shape' in attribute)) throw new Error('wanted an attribute shape');
  return attribute.shape;
}

const randomNumbers: Operation = {
  types: { T: 0, Tseed: 1 },
  infer: (inputs, attributes) => {
    wantCount(inputs, 2);
    const seed = input(inputs, 1);
    want(describeOutput(seed) === 'int32[2]', 'a seed int32[2]', seed);
    return [{ dtype: dtypeAttribute(attributes, 'dtype'), shape: integersOf(input(inputs, 0)) }];
  },
};

export const stateOperations: Operations = {
  Const: {
    types: {},
    infer: (_inputs, attributes) => {
      const held = attributes['value'];
      if (held === undefined || !('constant' in held)) throw new Error('wanted an attribute value');
      const { dtype, shape } = held.constant;
      return [{ dtype, shape }];
    },
  },
  Placeholder: {
    types: {},
    stateful: true,
    infer: (_inputs, attributes) => [
      { dtype: dtypeAttribute(attributes, 'dtype'), shape: shapeAttribute(attributes) },
    ],
  },
  VarHandleOp: {
    types: {},
    stateful: true,
    infer: (_inputs, attributes) => [{ dtype: 'resource', shape: shapeAttribute(attributes) }],
  },
  ReadVariableOp: {
    types: {},
    stateful: true,
    infer: (inputs, attributes) => {
      const variable = input(inputs, 0);
      wantDtype(variable, 'resource');
      return [{ dtype: dtypeAttribute(attributes, 'dtype'), shape: variable.shape }];
    },
  },
  AssignVariableOp: {
    types: { dtype: 1 },
    stateful: true,
    infer: (inputs) => {
      wantCount(inputs, 2);
      const [variable, value] = [input(inputs, 0), input(inputs, 1)];
      wantDtype(variable, 'resource');
      want(variable.shape.join() === value.shape.join(), `a value of [${variable.shape.join(',')}]`, value);
      return [];
    },
  },
  NoOp: { types: {}, stateful: true, infer: () => [] },
  // The input leaves by the second output where the condition holds, else by the first; what follows the other one
  // doesn't run.
  Switch: {
    types: { T: 0 },
    sharesMemory: true,
    infer: (inputs) => {
      wantCount(inputs, 2);
      wantDtype(input(inputs, 1), 'bool');
      const { dtype, shape } = input(inputs, 0);
      const output: Output = { dtype, shape };
      return [output, output];
    },
  },
  // Functions of their seeds alone.
  StatelessRandomNormal: randomNumbers,
  StatelessRandomUniform: randomNumbers,
  // None of TensorFlow's: the normal numbers of the random room, one row for each key and position.
  StreamNormal: {
    types: {},
    infer: (inputs, attributes) => {
      wantCount(inputs, 2);
      const [rows = 0] = input(inputs, 0).shape;
      for (const value of inputs)
        want(describeOutput(value) === `int32[${rows},2]`, `int32[${rows},2]`, value);
      return [{ dtype: 'float32', shape: [rows, intAttribute(attributes, 'length')] }];
    },
  },
};
