/** The eager backend: every op runs at once on the native library. The oracle that other backends must equal. */
import { tf } from './tf.js';

import { invalidArgument, violation } from '../foundation/index.js';
import { checkAssigned, checkInputs, checkUpdated, found } from './check-call.js';
import type { EngineArray, EngineModule, LoadedModule, TensorSpec, Tensors, VariableSpec } from './module.js';
import { engineError } from './native.js';

const floatsOf = (tensor: tf.Tensor): Float32Array => Float32Array.from(tensor.dataSync());

/** Loads a module whose functions call tfjs's ops one by one. Needs the native backend to be registered. */
export function loadEagerly(module: EngineModule): Promise<LoadedModule> {
  if (module.precision === 'bfloat16') {
    const wanted = 'float32, the only precision of the eager engine';
    return Promise.reject(invalidArgument([violation('precision', wanted, module.precision)]));
  }
  return attempt('loading a module', () => loadModule(module));
}

function loadModule(module: EngineModule): LoadedModule {
  const specs = new Map(module.variables.map((spec) => [spec.name, spec]));
  const variables: Record<string, tf.Tensor> = {};
  for (const { name, shape } of specs.values()) variables[name] = tf.keep(tf.zeros([...shape]));

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

  const specOf = (name: string): VariableSpec => found(specs.get(name), 'variable', name);

  function assign(values: ReadonlyMap<string, Float32Array>): void {
    checkAssigned(values, specOf);
    // tfjs uploads at first use; until then it would see later changes of the caller's array.
    for (const [name, value] of values)
      store(name, tf.keep(tf.tensor(value.slice(), [...specOf(name).shape])));
  }

  function read(names: readonly string[]): Map<string, Float32Array> {
    names.forEach(specOf);
    return new Map(names.map((name) => [name, floatsOf(variables[name] as tf.Tensor)]));
  }

  function run(name: string, arrays: Readonly<Record<string, EngineArray>>): Record<string, Float32Array> {
    const called = found(module.functions[name], 'function', name);
    checkInputs(called, arrays);
    return tf.tidy(() => {
      const inputs: Record<string, tf.Tensor> = {};
      for (const [key, spec] of Object.entries(called.inputs))
        inputs[key] = tensorOf(arrays[key] as EngineArray, spec);
      const { outputs, updates = {}, commit } = called.body(inputs, variables);
      checkUpdated(Object.keys(updates), module.variables);
      checkShapes(updates, variables);
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
    specs.clear();
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

function checkShapes(updates: Tensors, variables: Tensors): void {
  for (const [name, value] of Object.entries(updates)) {
    const shape = variables[name]?.shape.join() ?? '';
    if (shape !== value.shape.join()) {
      throw new Error(`update of ${name}: wanted shape [${shape}]; got [${value.shape.join()}]`);
    }
  }
}
