/** Statistics of features in the reference's files: `mu` and `sigma`, and `mu_s` and `sigma_s` of the spatial ones. */
import { npzFault, writeNpz, type NpzArray, type NpzFile } from '../dataset/index.js';
import { DiffusionError, describeValue } from '../foundation/index.js';
import type { Moments } from '../statistics/index.js';

export interface StoredStatistics {
  readonly pooled: Moments;
  readonly spatial: Moments | undefined;
}

/** Names in an archive. Source: evaluations/evaluator.py, `read_statistics`. */
const STATISTICS_NAMES = { pooled: ['mu', 'sigma'], spatial: ['mu_s', 'sigma_s'] } as const;

/** Covariances of more columns take gigabytes. */
export const MAX_COLUMNS = 8192;

const FLOATS: ReadonlyMap<string, (bytes: ArrayBuffer) => Float32Array | Float64Array> = new Map<
  string,
  (bytes: ArrayBuffer) => Float32Array | Float64Array
>([
  ['<f4', (bytes) => new Float32Array(bytes)],
  ['<f8', (bytes) => new Float64Array(bytes)],
]);

/**
 * The statistics of an archive; undefined where it has none.
 * @throws DiffusionError FAILED_PRECONDITION (reasons DATASET_INVALID, STATISTICS_INVALID).
 */
export async function readStatistics(npz: NpzFile): Promise<StoredStatistics | undefined> {
  const pooled = await readMoments(npz, STATISTICS_NAMES.pooled);
  return pooled && { pooled, spatial: await readMoments(npz, STATISTICS_NAMES.spatial) };
}

/** Writes statistics as the reference's evaluator and `readStatistics` read them. */
export async function writeStatistics(
  path: string,
  { pooled, spatial }: StoredStatistics,
  signal?: AbortSignal,
): Promise<void> {
  const arrays = momentArrays(pooled, STATISTICS_NAMES.pooled);
  if (spatial !== undefined) arrays.push(...momentArrays(spatial, STATISTICS_NAMES.spatial));
  await writeNpz(path, arrays, signal);
}

function momentArrays(
  { mean, covariance }: Moments,
  [meanName, covarianceName]: readonly [string, string],
): NpzArray[] {
  const columns = mean.length;
  const bytes = ({ buffer, byteOffset, byteLength }: Float64Array) => [
    new Uint8Array(buffer, byteOffset, byteLength),
  ];
  return [
    { name: meanName, dtype: '<f8', shape: [columns], values: () => bytes(mean) },
    { name: covarianceName, dtype: '<f8', shape: [columns, columns], values: () => bytes(covariance) },
  ];
}

async function readMoments(
  npz: NpzFile,
  [meanName, covarianceName]: readonly [string, string],
): Promise<Moments | undefined> {
  if (!npz.names.includes(meanName)) return undefined;
  const mean = await readFloats(npz, meanName, (shape) => shape.length === 1, 'shape [columns]');
  const size = mean.length;
  const covariance = await readFloats(
    npz,
    covarianceName,
    (shape) => shape.length === 2 && shape.every((length) => length === size),
    `shape [${size}, ${size}]`,
  );
  return { count: undefined, mean, covariance };
}

async function readFloats(
  npz: NpzFile,
  name: string,
  fits: (shape: readonly number[]) => boolean,
  wanted: string,
): Promise<Float64Array> {
  const { dtype, shape, reader, checkBytes, checkEnd } = await npz.array(name);
  const path = npz.pathOf(name);
  const make = FLOATS.get(dtype);
  if (make === undefined || !fits(shape) || !shape.every((length) => length >= 1 && length <= MAX_COLUMNS)) {
    const all = `float32 or float64 of ${wanted}, at most ${MAX_COLUMNS} columns`;
    throw npzFault(path, all, `${dtype} of shape [${shape.join(', ')}]`);
  }
  const bytes = shape.reduce((product, length) => product * length, dtype === '<f4' ? 4 : 8);
  checkBytes(bytes);
  const taken = await reader.take(bytes);
  await checkEnd();
  const values = Float64Array.from(make(taken.slice().buffer));
  if (values.every(Number.isFinite)) return values;
  const text = `${describeValue(path)}: wanted finite numbers; got others`;
  throw new DiffusionError('STATISTICS_INVALID', text);
}
