/** From a function's graph to a program of StableHLO: inputs and variables are parameters, outputs and updates results. */
import type { FunctionGraph } from '../compiled/function-graph.js';
import { parseRef, sizeOf, valueOf } from '../compiled/graph.js';
import type { Graph, Node } from '../compiled/graph.js';
import type { VariableSpec } from '../module.js';
import type { DeviceDtype, DeviceSpec } from './arrays.js';
import type { ProgramText } from './program.js';
import { createWriter, MESH, ROWS, ruleOf, typeOf } from './stablehlo/index.js';
import type { Hlo } from './stablehlo/index.js';
import type { WriterOptions } from './stablehlo/writer.js';

export interface EmitOptions extends WriterOptions {
  /** How many devices share the rows of a batch; default: one. */
  readonly devices?: number;
}

/** What stands at one place of a program's parameters or results. */
export interface End {
  readonly kind: 'input' | 'output' | 'variable';
  readonly name: string;
}

export interface EmittedFunction {
  readonly program: ProgramText;
  /** The function's inputs, then the variables that it reads or updates. */
  readonly parameters: readonly End[];
  /** The function's outputs, then the variables' new values, which have the memory of their old ones. */
  readonly results: readonly End[];
}

/** A variable's new value; kept where the condition is false. */
interface Update {
  readonly value: Hlo;
  readonly condition: Hlo | undefined;
}

/**
 * On several devices, the program is the one of all of them: the compiler divides the rows of the batch among the devices,
 * and computes everything else on each. Whatever the number of devices, the program computes the same.
 *
 * @param graph The function's graph after the passes.
 * @throws DiffusionError UNIMPLEMENTED (ENGINE_KERNEL) naming an operation without a rule; Error naming the node where a
 * rule fails.
 */
export function emitFunction(
  traced: Pick<FunctionGraph, 'inputs' | 'outputs'>,
  graph: Graph,
  variables: readonly VariableSpec[],
  options: EmitOptions,
): EmittedFunction {
  const hlo = createWriter(options);
  const used = usedVariables(graph);
  const read = variables.filter(({ name }) => used.has(name));
  const parameters: End[] = [
    ...Object.keys(traced.inputs).map((name) => ({ kind: 'input', name }) as const),
    ...read.map(({ name }) => ({ kind: 'variable', name }) as const),
  ];
  const specs: DeviceSpec[] = [
    ...Object.values(traced.inputs).map(({ dtype, shape }) => ({ dtype: dtype as DeviceDtype, shape })),
    ...read.map(({ shape }) => ({ dtype: 'float32', shape }) as const),
  ];
  const given = specs.map((spec, i) => ({ ...spec, name: `%arg${i}` }));
  const ofVariable = new Map(read.map(({ name }, i) => [name, given[Object.keys(traced.inputs).length + i]]));
  const inputs = given.slice(0, Object.keys(traced.inputs).length);
  const { devices = 1 } = options;
  const rows = devices > 1 ? rowsOf(inputs) : undefined;
  const ofInput = new Map(
    Object.values(traced.inputs).map(({ ref }, i) => {
      const value = inputs[i] as Hlo;
      return [ref, rows !== undefined && value.shape[0] === rows ? hlo.dividedByRows(value) : value];
    }),
  );

  const values = new Map<string, Hlo>();
  const updates = new Map<string, Update>();
  const conditions = new Map<string, Hlo>();

  function at(ref: string): Hlo {
    const known = values.get(ref) ?? ofInput.get(ref);
    if (known !== undefined) return known;
    // Constants are written where they are first used: those that only say a shape or an axis are in the rules.
    const { constant } = valueOf(graph, ref);
    if (constant === undefined) throw new Error(`${ref} has not been computed`);
    const value = hlo.constant(constant.dtype as DeviceDtype, constant.shape, constant.values);
    values.set(ref, value);
    return value;
  }

  /** The operations at a function's edges, which have no rule of their own. */
  const EDGES: Readonly<Record<string, (node: Node) => void>> = {
    Const: () => undefined,
    Placeholder: () => undefined,
    VarHandleOp: () => undefined,
    NoOp: () => undefined,
    ReadVariableOp: ({ name, inputs }) => {
      const value = ofVariable.get(variableOf(graph, inputs[0]));
      if (value !== undefined) values.set(`${name}:0`, value);
    },
    // Whether what follows the second output runs; here all runs, and an update chooses.
    Switch: ({ name, inputs: [value = '', condition = ''] }) => {
      for (const output of [0, 1]) values.set(`${name}:${output}`, at(value));
      conditions.set(name, at(condition));
    },
    AssignVariableOp: ({ inputs: [handle, value = ''] }) => {
      updates.set(variableOf(graph, handle), {
        value: at(value),
        condition: conditions.get(parseRef(value).node),
      });
    },
  };

  function emit(node: Node): void {
    const edge = EDGES[node.op];
    if (edge !== undefined) {
      edge(node);
      return;
    }
    const inputs = node.inputs.map((ref) => valueOf(graph, ref));
    const written = ruleOf(node.op)({
      ...{ hlo, inputs, attributes: node.attributes, outputs: node.outputs },
      x: (index) => at(node.inputs.at(index) ?? ''),
    });
    const results = 'name' in written ? [written] : written;
    for (const [i, result] of results.entries()) {
      checkResult(node, i, result);
      values.set(`${node.name}:${i}`, waiting(node, result));
    }
  }

  /** Where an identity waits for other nodes, the compiler must not compute it, and what follows from it, before them. */
  function waiting({ op, controlInputs }: Node, value: Hlo): Hlo {
    const awaited = controlInputs.flatMap((name) => values.get(`${name}:0`) ?? []);
    return op === 'Identity' && awaited.length > 0 ? hlo.after(value, awaited) : value;
  }

  for (const node of graph.values()) emitting(node, emit);
  const outputs = Object.entries(traced.outputs).map(([name, { ref }]) => ({ name, value: at(ref) }));
  const updated = Array.from(updates, ([name, { value, condition }]) => {
    const old = ofVariable.get(name);
    return {
      name,
      value: condition === undefined || old === undefined ? value : hlo.select(condition, value, old),
    };
  });
  const results = [...outputs, ...updated];
  const place = new Map(updated.map(({ name }, i) => [name, outputs.length + i]));
  const text = moduleText(
    given.map((value, i) => {
      const { kind, name } = parameters[i] as End;
      const aliased = kind === 'variable' ? place.get(name) : undefined;
      const attributes = [
        ...(aliased === undefined ? [] : [`tf.aliasing_output = ${aliased} : i32`]),
        ...(devices > 1 ? [onEachDevice(value)] : []),
      ];
      return `${value.name}: ${typeOf(value)}${inBraces(attributes)}`;
    }),
    hlo.lines,
    results.map(({ value }) => value),
    devices,
  );
  return {
    program: {
      text,
      parameters: specs,
      results: results.map(({ value: { dtype, shape } }) => ({ dtype: dtype as DeviceDtype, shape })),
    },
    parameters,
    results: [
      ...outputs.map(({ name }) => ({ kind: 'output', name }) as const),
      ...updated.map(({ name }) => ({ kind: 'variable', name }) as const),
    ],
  };
}

/** That every device has the whole of a parameter or a result. */
const onEachDevice = ({ shape }: Hlo): string =>
  `sdy.sharding = #sdy.sharding<@${MESH}, [${shape.map(() => '{}').join(', ')}]>`;

const inBraces = (attributes: readonly string[]): string =>
  attributes.length === 0 ? '' : ` {${attributes.join(', ')}}`;

/** How many rows the batch has: those of the largest input, where it has more than one axis. */
function rowsOf(inputs: readonly Hlo[]): number | undefined {
  const [largest] = [...inputs].sort((a, b) => sizeOf(b.shape) - sizeOf(a.shape));
  return largest !== undefined && largest.shape.length > 1 ? largest.shape[0] : undefined;
}

function moduleText(
  parameters: readonly string[],
  lines: readonly string[],
  results: readonly Hlo[],
  devices: number,
): string {
  const types = results.map(typeOf).join(', ');
  const given = results
    .map((result) => `${typeOf(result)}${inBraces(devices > 1 ? [onEachDevice(result)] : [])}`)
    .join(', ');
  const returned =
    results.length === 0 ? 'return' : `return ${results.map(({ name }) => name).join(', ')} : ${types}`;
  return [
    'module {',
    ...(devices > 1 ? [`sdy.mesh @${MESH} = <["${ROWS}"=${devices}]>`] : []),
    `func.func public @main(${parameters.join(', ')}) -> (${given}) {`,
    ...lines,
    returned,
    '} }',
    '',
  ].join('\n');
}

function usedVariables(graph: Graph): ReadonlySet<string> {
  const used = [...graph.values()].filter(({ op }) => op === 'ReadVariableOp' || op === 'AssignVariableOp');
  return new Set(used.map(({ inputs }) => variableOf(graph, inputs[0])));
}

/** The variable's name behind its handle. */
function variableOf(graph: Graph, handle = ''): string {
  const attribute = graph.get(parseRef(handle).node)?.attributes['shared_name'];
  if (attribute === undefined || !('text' in attribute)) throw new Error(`${handle} is no variable`);
  return attribute.text;
}

function checkResult({ outputs }: Node, index: number, { dtype, shape }: Hlo): void {
  const wanted = outputs[index];
  if (dtype === wanted?.dtype && shape.join() === wanted.shape.join()) return;
  throw new Error(
    `output ${index}: wanted ${wanted?.dtype ?? ''}[${wanted?.shape.join() ?? ''}]; got ${dtype}[${shape.join()}]`,
  );
}

/** Names the node where its rule fails. */
function emitting(node: Node, emit: (node: Node) => void): void {
  try {
    emit(node);
  } catch (cause) {
    if (!(cause instanceof Error) || 'reason' in cause) throw cause;
    throw new Error(`node ${node.name}, ${node.op}: ${cause.message}`, { cause });
  }
}
