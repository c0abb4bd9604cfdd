/** The eager backend: every op runs at once on the native library. The oracle that other backends must equal. */
import * as tf from '@tensorflow/tfjs-core';

import { DiffusionError, invalidArgument, violation } from '../foundation/index.js';
import type {
  EngineArray,
  EngineModule,
  LoadedModule,
  ModuleFunction,
  TensorSpec,
  Tensors,
} from './module.js';
import { engineError } from './native.js';

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);

const floatsOf = (tensor: tf.Tensor): Float32Array => Float32Array.from(tensor.dataSync());

/** Loads a module whose functions call tfjs's ops one by one. Needs the native backend to be registered. */
export function loadEagerly(module: EngineModule): Promise<LoadedModule> {
  return attempt('loading a module', () => loadModule(module));
}

function loadModule(module: EngineModule): LoadedModule {
  const shapes = new Map(module.variables.map(({ name, shape }) => [name, shape]));
  const variables: Record<string, tf.Tensor> = {};
  for (const [name, shape] of shapes) variables[name] = tf.keep(tf.zeros([...shape]));

  function store(name: string, value: tf.Tensor): void {
    variables[name]?.dispose();
    variables[name] = value;
  }

  function storeAll(updates: Tensors, inputs: Tensors): void {
    const taken = new Set([...Object.values(inputs), ...Object.values(variables)].map(({ id }) => id));
    const values = Object.entries(updates).map(([name, value]) => {
      // Where a tensor is an input or another variable as well, a clone gets a lifetime of its own.
      const own = taken.has(value.id) ? value.clone() : value;
      taken.add(own.id);
      return [name, tf.keep(own)] as const;
    });
    for (const [name, value] of values) store(name, value);
  }

  function shapeOf(name: string): readonly number[] {
    const shape = shapes.get(name);
    if (shape === undefined) throw new DiffusionError('NOT_FOUND', `the module has no variable ${name}`);
    return shape;
  }

  function assign(values: ReadonlyMap<string, Float32Array>): void {
    const wrong = [...values]
      .filter(([name, value]) => value.length !== sizeOf(shapeOf(name)))
      .map(([name, value]) => violation(name, `${sizeOf(shapeOf(name))} values`, value.length));
    if (wrong.length > 0) throw invalidArgument(wrong, 'VARIABLE_SIZE');
    // tfjs uploads at first use; until then it would see later changes of the caller's array.
    for (const [name, value] of values) store(name, tf.keep(tf.tensor(value.slice(), [...shapeOf(name)])));
  }

  function read(names: readonly string[]): Map<string, Float32Array> {
    names.forEach(shapeOf);
    return new Map(names.map((name) => [name, floatsOf(variables[name] as tf.Tensor)]));
  }

  function run(name: string, arrays: Readonly<Record<string, EngineArray>>): Record<string, Float32Array> {
    const called = module.functions[name];
    if (called === undefined) throw new DiffusionError('NOT_FOUND', `the module has no function ${name}`);
    checkInputs(called, arrays);
    return tf.tidy(() => {
      const inputs: Record<string, tf.Tensor> = {};
      for (const [key, spec] of Object.entries(called.inputs))
        inputs[key] = tensorOf(arrays[key] as EngineArray, spec);
      const { outputs, updates = {}, commit } = called.body(inputs, variables);
      checkUpdates(updates, variables);
      const read = Object.fromEntries(
        Object.entries(outputs).map(([key, tensor]) => [key, floatsOf(tensor)]),
      );
      if (commit === undefined || floatsOf(commit)[0] !== 0) storeAll(updates, inputs);
      return read;
    });
  }

  function dispose(): void {
    for (const [name, tensor] of Object.entries(variables)) {
      tensor.dispose();
      Reflect.deleteProperty(variables, name);
    }
    shapes.clear();
  }

  return {
    assign: (values) =>
      attempt('assigning variables', () => {
        assign(values);
      }),
    read: (names) => attempt('reading variables', () => read(names)),
    run: (name, inputs) => attempt(`running ${name}`, () => run(name, inputs)),
    dispose: () => attempt('disposing of a module', dispose),
  };
}

function attempt<T>(doing: string, action: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    try {
      resolve(action());
    } catch (cause) {
      reject(engineError(cause, doing));
    }
  });
}

function tensorOf(array: EngineArray, { shape, dtype }: TensorSpec): tf.Tensor {
  // Copies, since tfjs uploads at first use and an update may outlive the call.
  const values = dtype === 'float32' ? Float32Array.from(array) : Int32Array.from(array);
  return tf.tensor(values, [...shape], dtype === 'float32' ? 'float32' : 'int32');
}

const ARRAY_TYPES = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

function checkInputs({ inputs }: ModuleFunction, arrays: Readonly<Record<string, EngineArray>>): void {
  const unknown = Object.keys(arrays)
    .filter((name) => !Object.hasOwn(inputs, name))
    .map((name) => violation(name, 'only the inputs that the function has', name));
  const wrong = Object.entries(inputs).flatMap(([name, { shape, dtype }]) => {
    const array = Object.hasOwn(arrays, name) ? arrays[name] : undefined;
    if (array instanceof ARRAY_TYPES[dtype] && array.length === sizeOf(shape)) return [];
    const got = array === undefined ? undefined : `${array.length} of ${array.constructor.name}`;
    return [violation(name, `${sizeOf(shape)} values of ${dtype}`, got)];
  });
  if (unknown.length + wrong.length > 0) throw invalidArgument([...unknown, ...wrong], 'ENGINE_INPUT');
}

function checkUpdates(updates: Tensors, variables: Tensors): void {
  for (const [name, value] of Object.entries(updates)) {
    const shape = variables[name]?.shape.join();
    if (shape !== value.shape.join()) {
      throw new Error(
        `update of ${name}: wanted shape [${shape ?? 'no such variable'}]; got [${value.shape.join()}]`,
      );
    }
  }
}
