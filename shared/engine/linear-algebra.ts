/** The statistics' linear algebra by TensorFlow's own operations. */
import type { LinearAlgebra, Matrix } from '../statistics/index.js';
import { DataType } from './generated/api.js';
import type { NativeArray } from './compiled/native-tensor.js';
import { integers, placeholder, rawGraph, type RawAttribute, type RawNode } from './compiled/raw-graph.js';
import { openSession } from './compiled/session.js';
import { loadNative } from './native.js';

export interface NativeLinearAlgebra extends LinearAlgebra {
  /** Frees what is held; nothing may be running. */
  close(): void;
}

const { DT_DOUBLE: DOUBLE, DT_FLOAT: FLOAT, DT_INT32: INT32 } = DataType;
// DT_HALF, which this copy of TensorFlow's protos lacks.
const HALF = 19 as DataType;

type Attributes = Readonly<Record<string, RawAttribute>>;

function node(name: string, op: string, inputs: readonly string[], attributes: Attributes): RawNode {
  return { name, op, inputs, attributes };
}

function cast(name: string, x: string, from: DataType, to: DataType): RawNode {
  return node(name, 'Cast', [x], { SrcT: { type: from }, DstT: { type: to } });
}

function product(name: string, a: string, b: string, type: DataType, transposed?: 'a' | 'b'): RawNode {
  return node(name, 'MatMul', [a, b], {
    T: { type },
    ...{ transpose_a: { bool: transposed === 'a' }, transpose_b: { bool: transposed === 'b' } },
  });
}

function eigen(name: string, vectors: boolean): RawNode {
  return node(name, 'SelfAdjointEigV2', ['a'], { T: { type: DOUBLE }, compute_v: { bool: vectors } });
}

/**
 * |u|^2 - 2 u v + |v|^2 and at least 0, each step rounded to `type`; products are summed in float32, as on a GPU.
 * Source: evaluations/evaluator.py, `_batch_pairwise_distances`.
 */
function distances(of: string, type: DataType): RawNode[] {
  const [u, v] = [`${of}/u`, `${of}/v`];
  const T = { type };
  const norms = (x: string, shape: string): RawNode[] => [
    node(`${x}/square`, 'Square', [x], { T }),
    node(`${x}/sum`, 'Sum', [`${x}/square`, 'axis1'], {
      T,
      ...{ Tidx: { type: INT32 }, keep_dims: { bool: false } },
    }),
    node(`${x}/norms`, 'Reshape', [`${x}/sum`, shape], { T, Tshape: { type: INT32 } }),
    cast(`${x}/factor`, x, type, FLOAT),
  ];
  return [
    ...[cast(u, 'rows', FLOAT, type), cast(v, 'others', FLOAT, type)],
    ...[...norms(u, 'column'), ...norms(v, 'row')],
    product(`${of}/uv32`, `${u}/factor`, `${v}/factor`, FLOAT, 'b'),
    cast(`${of}/uv`, `${of}/uv32`, FLOAT, type),
    node(`${of}/2uv`, 'AddV2', [`${of}/uv`, `${of}/uv`], { T }),
    node(`${of}/difference`, 'Sub', [`${u}/norms`, `${of}/2uv`], { T }),
    node(`${of}/sum`, 'AddV2', [`${of}/difference`, `${v}/norms`], { T }),
    cast(`${of}/zero`, 'zero', INT32, type),
    node(`${of}/positive`, 'Maximum', [`${of}/sum`, `${of}/zero`], { T }),
    cast(`${of}/distances`, `${of}/positive`, type, FLOAT),
    node(`${of}/finite`, 'IsFinite', [`${of}/sum`], { T }),
    node(`${of}/usable`, 'All', [`${of}/finite`, 'axes'], {
      ...{ Tidx: { type: INT32 }, keep_dims: { bool: false } },
    }),
  ];
}

const NODES: readonly RawNode[] = [
  ...[placeholder('rows', FLOAT), placeholder('others', FLOAT)],
  ...[placeholder('a', DOUBLE), placeholder('b', DOUBLE)],
  ...[integers('axis0', [0]), integers('axis1', [1]), integers('axes', [0, 1]), integers('zero', [0])],
  ...[integers('column', [-1, 1]), integers('row', [1, -1])],
  ...[cast('rows64', 'rows', FLOAT, DOUBLE), cast('others64', 'others', FLOAT, DOUBLE)],
  node('means', 'Mean', ['rows64', 'axis0'], {
    ...{ T: { type: DOUBLE }, Tidx: { type: INT32 }, keep_dims: { bool: true } },
  }),
  node('centred', 'Sub', ['rows64', 'means'], { T: { type: DOUBLE } }),
  product('scatter', 'centred', 'centred', DOUBLE, 'a'),
  product('innerProducts', 'rows64', 'others64', DOUBLE, 'b'),
  ...[product('ab', 'a', 'b', DOUBLE), product('abTransposed', 'a', 'b', DOUBLE, 'b')],
  ...[eigen('eigen', true), eigen('eigenvalues', false)],
  ...[...distances('half', HALF), ...distances('single', FLOAT)],
];

/** Eigenvalues with vectors of a matrix of `size` rows take about this many operations times `size`^3. */
const EIGEN_FLOPS = 30;

/**
 * Opens a session of its own; runs are off the JavaScript thread.
 *
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START); each run RESOURCE_EXHAUSTED (ENGINE_OUT_OF_MEMORY) or
 * INTERNAL (ENGINE_FAILED).
 */
export async function openLinearAlgebra(): Promise<NativeLinearAlgebra> {
  // The addon keeps the library in the process: unloaded at its end, with threads running, it crashes.
  await loadNative();
  const session = openSession();
  session.extendBytes(rawGraph(NODES));

  async function float64(
    given: Readonly<Record<string, NativeArray>>,
    wanted: readonly string[],
    flops: number,
  ): Promise<Float64Array[]> {
    const results = await session.run(given, wanted, { name: 'linear algebra', flops });
    return results.map(({ values }) => values as Float64Array);
  }

  return {
    scatter: async (rows, columns) => {
      const given = { 'rows:0': matrixOf(rows, columns) };
      const [means, scatter] = await float64(given, ['means:0', 'scatter:0'], 2 * rows.length * columns);
      return { means: some(means), scatter: some(scatter) };
    },
    product: async (a, b, transposed = false) => {
      const given = { 'a:0': arrayOf(a), 'b:0': arrayOf(b) };
      const flops = 2 * a.values.length * (transposed ? b.rows : b.columns);
      const [result] = await float64(given, [transposed ? 'abTransposed:0' : 'ab:0'], flops);
      return some(result);
    },
    innerProducts: async (a, b, columns) => {
      const given = { 'rows:0': matrixOf(a, columns), 'others:0': matrixOf(b, columns) };
      const [result] = await float64(given, ['innerProducts:0'], (2 * a.length * b.length) / columns);
      return some(result);
    },
    symmetricEigen: async (matrix, size) => {
      const given = { 'a:0': { shape: [size, size], values: matrix } };
      const [values, vectors] = await float64(given, ['eigen:0', 'eigen:1'], EIGEN_FLOPS * size ** 3);
      return { values: some(values), vectors: some(vectors) };
    },
    symmetricEigenvalues: async (matrix, size) => {
      const given = { 'a:0': { shape: [size, size], values: matrix } };
      const [values] = await float64(given, ['eigenvalues:0'], EIGEN_FLOPS * size ** 3);
      return some(values);
    },
    squaredDistances: async (a, b, columns) => {
      const given = { 'rows:0': matrixOf(a, columns), 'others:0': matrixOf(b, columns) };
      const work = { name: 'distances', flops: (2 * a.length * b.length) / columns };
      const [half, usable] = await session.run(given, ['half/distances:0', 'half/usable:0'], work);
      if (usable?.values[0] === 1) return half?.values as Float32Array;
      const [single] = await session.run(given, ['single/distances:0'], work);
      return single?.values as Float32Array;
    },
    close: () => {
      session.close();
    },
  };
}

function matrixOf(values: Float32Array, columns: number): NativeArray {
  return { shape: [values.length / columns, columns], values };
}

function arrayOf({ rows, columns, values }: Matrix): NativeArray {
  return { shape: [rows, columns], values };
}

function some(values: Float64Array | undefined): Float64Array {
  return values ?? new Float64Array();
}
