/** The compiled engine: each function of a module is traced once and runs as one TensorFlow graph. */
import type { Engine, EngineArray, EngineModule, LoadedModule } from '../module.js';
import { attempt, moduleCalls } from '../module-calls.js';
import { loadNative } from '../native.js';
import { checkAssigned, checkInputs, found } from '../check-call.js';
import { checkGraph } from './check.js';
import { finished } from './finishing.js';
import { functionGraph } from './function-graph.js';
import { parseRef } from './graph.js';
import { derivedVariables } from './derived-variables.js';
import type { DerivedVariables } from './derived-variables.js';
import { checkInPlace, variableUses } from './in-place.js';
import { nativeKernels, withoutKernels } from './native-kernels.js';
import type { NodeTime } from './profile.js';
import { openSession } from './session.js';
import type { PreparedRun, Session } from './session.js';
import { processRuns } from './run-watch.js';
import type { RunWatch } from './run-watch.js';
import { flopsOf } from './work.js';
import { variableGraph } from './variable-graph.js';
import type { VariableAccess } from './variable-graph.js';

export interface CompiledEngine extends Engine {
  load(module: EngineModule): Promise<CompiledModule>;
}

export interface CompiledModule extends LoadedModule {
  /** Runs a function as `run` does, and gives what each node of its graph took. */
  profile(name: string, inputs: Arrays): Promise<NodeTime[]>;
}

type Arrays = Readonly<Record<string, EngineArray>>;

/**
 * Starts the engine that compiles. A function is traced and compiled by its first run.
 * @param runs Follows the runs of its modules; `overdueRun` reports only those of the process's own watch.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) when the native library is missing or can't be loaded.
 */
export async function createCompiledEngine(runs: RunWatch = processRuns): Promise<CompiledEngine> {
  // The eager backend comes with it, and with that tfjs's table of gradients.
  const native = await loadNative();
  const without = withoutKernels();
  const kernelLevel = nativeKernels()?.level;
  const platform = `${native.platform}, ${kernelsInWords()}`;
  return {
    build: {
      ...{ name: 'compiled', ...native, platform },
      ...(kernelLevel !== undefined && { kernelLevel }),
      ...(without !== undefined && { withoutKernels: without }),
    },
    // TensorFlow's own operations are so on some processors only.
    batchInvariant: nativeKernels() !== undefined,
    load: (module) => attempt('loading a module', () => loadModule(module, runs)),
  };
}

/** For manifests: results are the same to the bit where it is. */
function kernelsInWords(): string {
  const kernels = nativeKernels();
  if (kernels === undefined) return 'no kernels';
  const { lanes, tiles, pairs, revision } = kernels;
  const products = tiles ? ' and tiles' : pairs ? ' and pairs' : '';
  return `kernels ${revision} of ${lanes} lanes${products}`;
}

/** Which run of this process takes far longer than it should, in a sentence; undefined where none does. */
export function overdueRun(): string | undefined {
  return processRuns.overdue();
}

async function loadModule(module: EngineModule, runs: RunWatch): Promise<CompiledModule> {
  const { graph, variables, zero, initialise } = variableGraph(module.variables);
  checkGraph(graph);
  const session = openSession(runs);
  session.extend(graph);
  await session.prepare([zero], [], [initialise])([Float32Array.of(0)]);

  const derived = derivedVariables(session);
  const uses = variableUses();
  const functions = new Map<string, CompiledFunction>();
  const readers = new Map<string, PreparedRun>();
  const writers = new Map<string, PreparedRun>();

  const accessTo = (name: string): VariableAccess => found(variables.get(name), 'variable', name);

  async function assign(values: ReadonlyMap<string, Float32Array>): Promise<void> {
    checkAssigned(values, (name) => accessTo(name).spec);
    const accesses = Array.from(values.keys(), accessTo);
    const store = remembered(writers, [...values.keys()].join('\0'), () =>
      session.prepare(
        accesses.map(({ value }) => value),
        [],
        accesses.map((access) => access.assign),
      ),
    );
    derived.outdate();
    await store([...values.values()]);
  }

  async function read(names: readonly string[]): Promise<Map<string, Float32Array>> {
    const reads = names.map((name) => accessTo(name).read);
    const fetch = remembered(readers, names.join('\0'), () => session.prepare([], reads, []));
    const values = await fetch([]);
    return new Map(names.map((name, i) => [name, values[i] as Float32Array]));
  }

  async function run(
    name: string,
    arrays: Arrays,
    times?: NodeTime[],
  ): Promise<Record<string, Float32Array>> {
    const called = found(module.functions[name], 'function', name);
    checkInputs(called, arrays);
    const compiled = remembered(functions, name, () => compile(session, derived, uses, name, module));
    await derived.refresh();
    const given = compiled.inputs.map((input) => arrays[input] as EngineArray);
    const results = await compiled.run(given, times);
    return Object.fromEntries(compiled.outputs.map((output, i) => [output, results[i] as Float32Array]));
  }

  async function profile(name: string, arrays: Arrays): Promise<NodeTime[]> {
    const times: NodeTime[] = [];
    await run(name, arrays, times);
    return times;
  }

  const { during, dispose } = moduleCalls();
  return {
    assign: (values) => during('assigning variables', () => assign(values)),
    read: (names) => during('reading variables', () => read(names)),
    run: (name, inputs) => during(`running ${name}`, () => run(name, inputs)),
    profile: (name, inputs) => during(`profiling ${name}`, () => profile(name, inputs)),
    dispose: () =>
      dispose(() => {
        session.close();
      }),
  };
}

/** A function that is in the session, with its inputs and outputs in order. */
interface CompiledFunction {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly run: PreparedRun;
}

function compile(
  session: Session,
  derived: DerivedVariables,
  uses: ReturnType<typeof variableUses>,
  name: string,
  module: EngineModule,
): CompiledFunction {
  const called = found(module.functions[name], 'function', name);
  const { graph, inputs, outputs, update } = functionGraph(name, called, module.variables);
  const ends = [...Object.values(inputs), ...Object.values(outputs)].map(({ ref }) => parseRef(ref).node);
  const targets = update === undefined ? [] : [update];
  const kept = new Set([...ends, ...targets]);
  const hoist = finished(graph, kept, module, `${name}/derived/`);
  checkGraph(hoist.graph);
  uses.add(checkInPlace(hoist.graph, kept));
  derived.provide(hoist);
  session.extend(hoist.graph);
  return {
    inputs: Object.keys(inputs),
    outputs: Object.keys(outputs),
    run: session.prepare(Object.values(inputs), Object.values(outputs), targets, {
      name,
      flops: flopsOf(hoist.graph),
    }),
  };
}

function remembered<T>(known: Map<string, T>, key: string, make: () => T): T {
  const value = known.get(key) ?? make();
  known.set(key, value);
  return value;
}
