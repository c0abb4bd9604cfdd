/** The whole state of a run, in the engine and as the objects of a checkpoint. */

import {
  checkFinite,
  decodeFloats,
  decodeSafetensors,
  emaObject,
  encodeSafetensors,
  optimizerObject,
  stateObject,
  weightsObject,
  type TensorData,
} from '../../../shared/checkpoint/index.js';
import type { DataPosition } from '../../../shared/dataset/index.js';
import type { LoadedModule } from '../../../shared/engine/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';
import {
  fromEngineLayout,
  parameterSpecs,
  toEngineLayout,
  type UNetConfig,
} from '../../../shared/model/index.js';
import type { TimestepSampler } from '../../../shared/noise/index.js';
import { ADAM_M, ADAM_V, emaPrefix, WEIGHTS } from '../../../shared/training/index.js';

/** The counters of a run; its tensors are in the engine. */
export interface Counters {
  /** Optimizer steps done. */
  readonly step: number;
  readonly samplesSeen: number;
  readonly position: DataPosition;
}

/** Where the tensors of a run are. */
export interface RunTensors {
  readonly architecture: UNetConfig;
  readonly emaRates: readonly number[];
  readonly loaded: LoadedModule;
  readonly timestepSampler: TimestepSampler;
}

export interface CheckpointObject {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A stored object's tensors, each with the engine's variables that it holds. */
interface Part {
  readonly object: string;
  /** Prefix of the stored names -> prefix of the engine's variables. */
  readonly prefixes: readonly (readonly [stored: string, variable: string])[];
}

const HISTORY = 'timestep_sampler.history';
const COUNTS = 'timestep_sampler.counts';
// What PyTorch's optimizers call them.
const MOMENTS = [
  ['exp_avg.', ADAM_M],
  ['exp_avg_sq.', ADAM_V],
] as const;
const METADATA = { format: 'pt' };

function partsOf(emaRates: readonly number[]): Part[] {
  return [
    { object: weightsObject, prefixes: [['', WEIGHTS]] },
    ...emaRates.map((rate): Part => ({ object: emaObject(rate), prefixes: [['', emaPrefix(rate)]] })),
    { object: optimizerObject, prefixes: MOMENTS },
  ];
}

/** Sets the first parameters, in PyTorch's layout: EMA weights start as copies of them, moments as zeros. */
export async function initialise(
  { architecture, emaRates, loaded }: RunTensors,
  initial: ReadonlyMap<string, Float32Array>,
): Promise<void> {
  const values = parameterSpecs(architecture).map(
    (spec) => [spec.name, toEngineLayout(spec, need(initial.get(spec.name), spec.name))] as const,
  );
  // One set at a time: the engine holds a second copy while it takes the values.
  for (const prefix of [WEIGHTS, ...emaRates.map(emaPrefix)])
    await loaded.assign(new Map(values.map(([name, value]) => [prefix + name, value])));
}

/** Copies a run's tensors into the objects of a checkpoint; equal runs give equal bytes. */
export async function snapshot(run: RunTensors): Promise<CheckpointObject[]> {
  const specs = parameterSpecs(run.architecture);
  const objects: CheckpointObject[] = [];
  for (const { object, prefixes } of partsOf(run.emaRates)) {
    const tensors = new Map<string, TensorData>();
    for (const [stored, variable] of prefixes) {
      const values = await run.loaded.read(specs.map(({ name }) => variable + name));
      for (const spec of specs) {
        const data = fromEngineLayout(spec, need(values.get(variable + spec.name), spec.name));
        tensors.set(stored + spec.name, { dtype: 'F32', shape: spec.shape, data });
      }
    }
    checkFinite(tensors);
    objects.push({ name: object, bytes: encodeSafetensors(tensors, METADATA) });
  }
  const { history, counts } = run.timestepSampler.state();
  const state = new Map<string, TensorData>([
    [HISTORY, { dtype: 'F64', shape: [history.length], data: history }],
    [COUNTS, { dtype: 'I32', shape: [counts.length], data: counts }],
  ]);
  return [...objects, { name: stateObject, bytes: encodeSafetensors(state, METADATA) }];
}

/** A checkpoint's tensors, decoded and checked against the network. */
export interface DecodedCheckpoint {
  /** Parameters, EMA weights and moments by object and stored name, in PyTorch's layout. */
  readonly floats: ReadonlyMap<string, ReadonlyMap<string, Float32Array>>;
  readonly history: Float64Array;
  readonly counts: Int32Array;
}

/** The objects of a checkpoint, decoded and checked against the network. @throws DiffusionError DATA_LOSS. */
export function decodeObjects(
  { architecture, emaRates }: Pick<RunTensors, 'architecture' | 'emaRates'>,
  objects: ReadonlyMap<string, Uint8Array>,
): DecodedCheckpoint {
  const specs = parameterSpecs(architecture);
  const floats = new Map(
    partsOf(emaRates).map(({ object, prefixes }) => {
      const expected = prefixes.flatMap(([stored]) =>
        specs.map(({ name, shape }) => [stored + name, shape] as const),
      );
      return [object, decodeFloats(need(objects.get(object), object), new Map(expected))];
    }),
  );
  const { tensors } = decodeSafetensors(need(objects.get(stateObject), stateObject));
  const [history, counts] = [tensors.get(HISTORY), tensors.get(COUNTS)];
  if (history?.dtype !== 'F64' || counts?.dtype !== 'I32') throw missing(`${HISTORY} and ${COUNTS}`);
  return { floats, history: history.data, counts: counts.data };
}

/** Puts a decoded checkpoint into the engine and the timestep sampler. @throws DiffusionError DATA_LOSS. */
export async function restore(
  run: RunTensors,
  { floats, history, counts }: DecodedCheckpoint,
): Promise<void> {
  const specs = parameterSpecs(run.architecture);
  for (const { object, prefixes } of partsOf(run.emaRates)) {
    const values = need(floats.get(object), object);
    for (const [stored, variable] of prefixes) {
      await run.loaded.assign(
        new Map(
          specs.map((spec) => [
            variable + spec.name,
            toEngineLayout(spec, need(values.get(stored + spec.name), spec.name)),
          ]),
        ),
      );
    }
  }
  run.timestepSampler.restore({ history, counts });
}

function need<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw missing(name);
  return value;
}

function missing(name: string): DiffusionError {
  return new DiffusionError('CHECKPOINT_INCOMPLETE', `wanted ${name}; got nothing`);
}
