/** The engine on a PJRT device: each function is one program, over variables that stay in the device's memory. */
import { arch, availableParallelism, cpus, platform } from 'node:os';

import { DiffusionError } from '../../foundation/index.js';
import { checkAssigned, checkInputs, found } from '../check-call.js';
import { checkGraph } from '../compiled/check.js';
import { functionGraph } from '../compiled/function-graph.js';
import { parseRef } from '../compiled/graph.js';
import { lowered } from '../compiled/lowering.js';
import { passed, withoutIdle, withoutRepeats, withoutUnused } from '../compiled/passes.js';
import { withBfloat16 } from '../compiled/bfloat16.js';
import { processRuns } from '../compiled/run-watch.js';
import type { RunWatch } from '../compiled/run-watch.js';
import { flopsOf } from '../compiled/work.js';
import type { StablehloTarget } from '../composites/composite.js';
import { attempt, moduleCalls } from '../module-calls.js';
import type { Engine, EngineArray, EngineModule, LoadedModule, VariableSpec } from '../module.js';
import { requireGradients, tf } from '../tf.js';
import type { HostArray } from './arrays.js';
import type { DeviceBuffer } from './buffers.js';
import { createClient } from './client.js';
import type { Client, DeviceCount, DeviceMemory } from './client.js';
import { compileOptions } from './compile-options.js';
import type { CompileFlags } from './compile-options.js';
import { emitFunction } from './emit-function.js';
import type { EmitOptions, EmittedFunction, End } from './emit-function.js';
import { executableCache } from './executable-cache.js';
import type { ExecutableCache } from './executable-cache.js';
import { loadPlugin } from './plugin.js';
import type { Program } from './program.js';
import type { ClientOptions } from './structs.js';

export interface PjrtSettings {
  /** The plugin's file. */
  readonly plugin: string;
  readonly client?: ClientOptions;
  /** How many devices share the rows of each batch; default: one. */
  readonly devices?: DeviceCount;
  /** Whether products of float32 may be of TF32, on devices that have it; default: no. */
  readonly tf32?: boolean;
  /** Whether attention is one call of cuDNN, where a module is of bfloat16; default: no, since it is untried on a device. */
  readonly attentionCalls?: boolean;
  /** What programs are compiled with beside what the platform needs; for measurements. */
  readonly flags?: CompileFlags;
  /** Where compiled programs are kept between processes; nowhere when absent. */
  readonly cacheFolder?: string | undefined;
}

export interface PjrtEngine extends Engine {
  /** Device arrays and programs of all its modules. */
  live(): number;
  /** Of the first device's memory; undefined where the plugin doesn't say. */
  memory(): DeviceMemory | undefined;
  /** Ends the device; all modules must be disposed of before. */
  close(): void;
}

type EmitSettings = EmitOptions & Partial<StablehloTarget>;

/** What one module needs of its engine. */
interface Context {
  readonly client: Client;
  readonly cache: ExecutableCache;
  readonly options: Uint8Array;
  readonly emitting: Omit<EmitSettings, 'devices'>;
  readonly runs: RunWatch;
}

/** Which of several kernels is fastest is measured otherwise, and comes out differently from time to time. */
const CARD_FLAGS: CompileFlags = {
  xla_gpu_exclude_nondeterministic_ops: true,
  xla_gpu_enable_triton_gemm: false,
};
/** By XLA's name of the platform. A resumed run must be the same to the bit, so what differs between runs is left out. */
const PLATFORM_FLAGS: Readonly<Record<string, CompileFlags>> = { cuda: CARD_FLAGS, rocm: CARD_FLAGS };
/** Otherwise numbers that a module rounds to bfloat16 may stay as they are. */
const FLAGS: CompileFlags = { xla_allow_excess_precision: false };

/**
 * Starts the engine on a plugin's devices. A function is traced and compiled by its first run.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) where plugin or device can't be used.
 */
export async function createPjrtEngine(
  { plugin: file, client: clientOptions, devices, cacheFolder, flags, ...given }: PjrtSettings,
  runs: RunWatch = processRuns,
): Promise<PjrtEngine> {
  requireGradients();
  const plugin = loadPlugin(file);
  const client = await createClient(plugin, clientOptions, devices);
  const options = compileOptions({ ...flagsOf(client.platform), ...flags }, client.devices);
  const { tf32 = false, attentionCalls = false } = given;
  const emitting = { tf32, attentionCalls };
  const context = { client, cache: executableCache(cacheFolder), options, emitting, runs };
  return {
    build: {
      ...{ name: 'pjrt', version: tf.version_core, threads: availableParallelism() },
      library: `pjrt ${plugin.version}, ${client.platformVersion}`,
      platform: platformInWords(client, tf32),
    },
    batchInvariant: false,
    load: (module) => attempt('loading a module', () => loadModule(module, context)),
    live: client.live,
    memory: client.memory,
    close: client.close,
  };
}

/** What programs are compiled with on a platform. */
export function flagsOf(platformName: string): CompileFlags {
  return { ...FLAGS, ...PLATFORM_FLAGS[platformName] };
}

/** For manifests: results are the same to the bit where it is. */
function platformInWords({ platform: kind, deviceKind, devices, plugin }: Client, tf32: boolean): string {
  const device = kind === 'cpu' ? (cpus()[0]?.model.trim() ?? 'unknown processor') : deviceKind;
  // Sums over several devices' rows are rounded otherwise than over one's.
  const several = devices.length > 1 ? `${devices.length} of ` : '';
  return `${platform()}-${arch()}-${kind} ${several}${device}, plugin of ${plugin.bytes} bytes${tf32 ? ', tf32' : ''}`;
}

/** A function's program, once it is compiled. */
interface CompiledFunction extends Pick<EmittedFunction, 'parameters' | 'results'> {
  readonly program: Program;
  readonly followed: <T>(run: () => Promise<T>) => Promise<T>;
}

async function loadModule(module: EngineModule, context: Context): Promise<LoadedModule> {
  const { client } = context;
  const specs = new Map(module.variables.map((spec) => [spec.name, spec]));
  const variables = new Map<string, DeviceBuffer>();
  const functions = new Map<string, CompiledFunction>();
  // Why the variables can't be used any more: a run that failed had already taken their memory.
  let lost: DiffusionError | undefined;
  const { during, dispose } = moduleCalls();

  const specOf = (name: string): VariableSpec => found(specs.get(name), 'variable', name);

  function replace(name: string, buffer: DeviceBuffer): void {
    variables.get(name)?.destroy();
    variables.set(name, buffer);
  }

  async function assign(values: ReadonlyMap<string, Float32Array>): Promise<void> {
    checkAssigned(values, specOf);
    const uploaded = await all(values, ([name, value]) =>
      client.upload(value, { dtype: 'float32', shape: specOf(name).shape }),
    );
    for (const [i, name] of [...values.keys()].entries()) replace(name, uploaded[i] as DeviceBuffer);
  }

  async function read(names: readonly string[]): Promise<Map<string, Float32Array>> {
    names.forEach(specOf);
    const read = new Map<string, Float32Array>();
    for (const name of names) read.set(name, toFloats(await bufferOf(name).download()));
    return read;
  }

  function bufferOf(name: string): DeviceBuffer {
    if (lost !== undefined) throw lost;
    return found(variables.get(name), 'variable', name);
  }

  async function compiled(name: string): Promise<CompiledFunction> {
    const known = functions.get(name) ?? (await compile(module, name, context));
    functions.set(name, known);
    return known;
  }

  async function run(
    name: string,
    arrays: Readonly<Record<string, EngineArray>>,
  ): Promise<Record<string, Float32Array>> {
    const called = found(module.functions[name], 'function', name);
    checkInputs(called, arrays);
    const { program, parameters, results, followed } = await compiled(name);
    const given = parameters.filter(({ kind }) => kind === 'input');
    const inputs = await all(given, (end) =>
      client.upload(arrays[end.name] as HostArray, called.inputs[end.name] as DeviceBuffer),
    );
    try {
      const ofInput = new Map(given.map((end, i) => [end.name, inputs[i] as DeviceBuffer]));
      const args = parameters.map(({ kind, name: of }) =>
        kind === 'input' ? (ofInput.get(of) as DeviceBuffer) : bufferOf(of),
      );
      return await followed(async () => taken(await program.run(args), results));
    } catch (cause) {
      noteLost(cause, results);
      throw cause;
    } finally {
      for (const buffer of inputs) buffer.destroy();
    }
  }

  /** Keeps the variables' new values, and copies the outputs. */
  async function taken(
    buffers: readonly DeviceBuffer[],
    results: readonly End[],
  ): Promise<Record<string, Float32Array>> {
    const outputs: Record<string, Float32Array> = {};
    const made = results.map((end, i) => ({ ...end, buffer: buffers[i] as DeviceBuffer }));
    for (const { kind, name, buffer } of made) if (kind === 'variable') replace(name, buffer);
    const copied = made.filter(({ kind }) => kind === 'output');
    try {
      for (const { name, buffer } of copied) outputs[name] = toFloats(await buffer.download());
    } finally {
      for (const { buffer } of copied) buffer.destroy();
    }
    return outputs;
  }

  function noteLost(cause: unknown, results: readonly End[]): void {
    const isGone = results.some(({ kind, name }) => kind === 'variable' && variables.get(name)?.isDeleted());
    if (!isGone) return;
    const text = cause instanceof Error ? cause.message : String(cause);
    lost = new DiffusionError('ENGINE_FAILED', `the variables were lost when a run failed: ${text}`, {
      cause,
    });
  }

  const zeros = new Float32Array(Math.max(0, ...module.variables.map(({ shape }) => sizeOf(shape))));
  const started = await all(module.variables, ({ shape }) =>
    client.upload(zeros.subarray(0, sizeOf(shape)), { dtype: 'float32', shape }),
  );
  module.variables.forEach(({ name }, i) => variables.set(name, started[i] as DeviceBuffer));

  return {
    assign: (values) => during('assigning variables', () => assign(values)),
    read: (names) => during('reading variables', () => read(names)),
    run: (name, inputs) => during(`running ${name}`, () => run(name, inputs)),
    dispose: () =>
      dispose(() => {
        for (const buffer of variables.values()) buffer.destroy();
        for (const { program } of functions.values()) program.destroy();
      }),
  };
}

async function compile(
  module: EngineModule,
  name: string,
  { client, cache, options, emitting, runs }: Context,
): Promise<CompiledFunction> {
  const { emitted, flops } = emittedFunction(module, name, { ...emitting, devices: client.devices.length });
  const { program, parameters, results } = emitted;
  const compiled = await cache.compile(client, program, options);
  return { program: compiled, parameters, results, followed: runs.follow({ name, flops }) };
}

/** A module's function as a program, and about how many operations of floating point it takes. */
export function emittedFunction(
  module: EngineModule,
  name: string,
  options: EmitSettings,
): { readonly emitted: EmittedFunction; readonly flops: number } {
  const called = found(module.functions[name], 'function', name);
  const traced = functionGraph(name, called, module.variables);
  const { inputs, outputs, update } = traced;
  const ends = [...Object.values(inputs), ...Object.values(outputs)].map(({ ref }) => parseRef(ref).node);
  const kept = new Set([...ends, ...(update === undefined ? [] : [update])]);
  // In plain operations, which the compiler fuses by itself.
  const attentionCalls = options.attentionCalls === true && module.precision === 'bfloat16';
  const plain = passed(lowered(traced.graph, { attentionCalls }), kept, [
    withoutIdle,
    withoutRepeats,
    withoutUnused,
  ]);
  const graph =
    module.precision === 'bfloat16'
      ? passed(withBfloat16(plain), kept, [withoutRepeats, withoutUnused])
      : plain;
  checkGraph(graph);
  return { emitted: emitFunction(traced, graph, module.variables, options), flops: flopsOf(graph) };
}

/** Makes a buffer of each; where one fails, none is left. */
async function all<T>(of: Iterable<T>, make: (each: T) => Promise<DeviceBuffer>): Promise<DeviceBuffer[]> {
  const made: DeviceBuffer[] = [];
  try {
    for (const each of of) made.push(await make(each));
    return made;
  } catch (cause) {
    for (const buffer of made) buffer.destroy();
    throw cause;
  }
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);

function toFloats(array: HostArray): Float32Array {
  return array instanceof Float32Array ? array : Float32Array.from(array);
}
