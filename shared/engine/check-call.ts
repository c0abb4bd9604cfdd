/** Whether what a module is given fits what it declares. */
import { DiffusionError, invalidArgument, violation } from '../foundation/index.js';
import type { EngineArray, ModuleFunction, VariableSpec } from './module.js';

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);

const ARRAY_TYPES = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };

/** @throws DiffusionError INVALID_ARGUMENT (ENGINE_INPUT) naming every input that is missing, unknown or doesn't fit. */
export function checkInputs({ inputs }: ModuleFunction, arrays: Readonly<Record<string, EngineArray>>): void {
  const unknown = Object.keys(arrays)
    .filter((name) => !Object.hasOwn(inputs, name))
    .map((name) => violation(name, 'only inputs of the function', name));
  const wrong = Object.entries(inputs).flatMap(([name, { shape, dtype }]) => {
    const array = Object.hasOwn(arrays, name) ? arrays[name] : undefined;
    if (array instanceof ARRAY_TYPES[dtype] && array.length === sizeOf(shape)) return [];
    const got = array === undefined ? undefined : `${array.length} of ${array.constructor.name}`;
    return [violation(name, `${sizeOf(shape)} values of ${dtype}`, got)];
  });
  if (unknown.length + wrong.length > 0) throw invalidArgument([...unknown, ...wrong], 'ENGINE_INPUT');
}

/** @throws DiffusionError INVALID_ARGUMENT for an unknown variable, INVALID_ARGUMENT (VARIABLE_SIZE) for a wrong size. */
export function checkAssigned(
  values: ReadonlyMap<string, Float32Array>,
  specOf: (name: string) => VariableSpec,
): void {
  const wrong = [...values]
    .filter(([name, value]) => value.length !== sizeOf(specOf(name).shape))
    .map(([name, value]) => violation(name, `${sizeOf(specOf(name).shape)} values`, value.length));
  if (wrong.length > 0) throw invalidArgument(wrong, 'VARIABLE_SIZE');
}

/** @throws Error naming a variable that a function may not update. */
export function checkUpdated(names: readonly string[], variables: readonly VariableSpec[]): void {
  const known = new Set(variables.filter(({ fixed }) => fixed !== true).map(({ name }) => name));
  const wrong = names.find((name) => !known.has(name));
  if (wrong !== undefined) {
    throw new Error(`update of ${wrong}: wanted a variable of the module that may change`);
  }
}

/** Looks up by name. @throws DiffusionError INVALID_ARGUMENT. */
export function found<T>(value: T | undefined, kind: string, name: string): T {
  if (value === undefined) throw new DiffusionError('ENGINE_INPUT', `the module has no ${kind} ${name}`);
  return value;
}
