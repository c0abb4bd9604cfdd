/** Features by a frozen Inception graph of the reference's evaluator, or by any graph with its node names. */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { describeValue, DiffusionError } from '../foundation/index.js';
import { openFrozenGraph, type FrozenGraph, type NativeArray } from '../engine/index.js';
import type { LinearAlgebra } from '../statistics/index.js';
import type { Classifier, Extractor } from './extractor.js';
import { MAX_COLUMNS } from './stored-statistics.js';

/** Source: evaluations/evaluator.py, `_create_feature_graph` and `_create_softmax_graph`. */
const INPUT = 'ExpandDims:0';
const POOLED = 'pool_3';
const SPATIAL = 'mixed_6/conv';
const LOGITS = 'softmax/logits/MatMul';
/** How many channels of the spatial features are used. */
const SPATIAL_CHANNELS = 7;

/** The reference's file has 96 MB. */
const MAX_BYTES = 1024 ** 3;

/**
 * @throws DiffusionError NOT_FOUND (reason EXTRACTOR_NOT_FOUND); FAILED_PRECONDITION (reason GRAPH_INVALID) where the file
 * isn't such a graph, naming the nodes that are wanted.
 */
export async function openInception(path: string, algebra: LinearAlgebra): Promise<Extractor> {
  const bytes = await bytesOf(path);
  const graph = await openFrozenGraph(bytes, [INPUT], [POOLED, SPATIAL, LOGITS]);
  try {
    const classifier = await classifierOf(graph, algebra);
    return {
      name: path,
      names: { frechet: 'FID', spatial: 'sFID', kernel: 'KID', score: 'Inception Score' },
      hash: createHash('sha256').update(bytes).digest('hex'),
      batchSize: 64,
      extract: async ({ count, shape: { height, width, channels }, pixels }) => {
        const input = { shape: [count, height, width, channels], values: Float32Array.from(pixels) };
        const [pooled, spatial] = await graph.run({ [INPUT]: input }, [`${POOLED}:0`, `${SPATIAL}:0`]);
        return { pooled: rowsOf(pooled, count), spatial: rowsOf(spatial && firstChannels(spatial), count) };
      },
      classifier,
      close: () => {
        graph.close();
      },
    };
  } catch (error) {
    graph.close();
    throw error;
  }
}

/** Softmax of features times the weights of the logits, without their bias. */
async function classifierOf(graph: FrozenGraph, algebra: LinearAlgebra): Promise<Classifier> {
  const [, weightsRef = ''] = graph.inputsOf(LOGITS);
  const [weights] = await graph.run({}, [weightsRef]);
  const [columns = 0, classes = 0, ...others] = weights?.shape ?? [];
  if (!(weights?.values instanceof Float32Array) || others.length > 0 || classes === 0)
    throw invalid(`float32 weights [columns, classes] at ${LOGITS}`, weights?.shape);
  const { values } = weights;
  const transposed = Float32Array.from(
    values,
    (_, at) => values[(at % columns) * classes + Math.floor(at / columns)] ?? 0,
  );
  return {
    classes,
    probabilities: async (features) => {
      if (features.length % columns !== 0) throw invalid(`${columns} features at ${POOLED}`, 'others');
      return softmax(await algebra.innerProducts(features, transposed, columns), classes);
    },
  };
}

function softmax(logits: Float64Array, classes: number): Float32Array {
  const probabilities = new Float32Array(logits.length);
  for (let start = 0; start < logits.length; start += classes) {
    const row = logits.subarray(start, start + classes);
    const largest = row.reduce((most, value) => Math.max(most, value), -Infinity);
    const powers = row.map((value) => Math.exp(value - largest));
    const sum = powers.reduce((total, value) => total + value, 0);
    for (const [i, power] of powers.entries()) probabilities[start + i] = power / sum;
  }
  return probabilities;
}

/** [images, height, width, channels] with the first channels only. */
function firstChannels({ shape, values }: NativeArray): NativeArray {
  const channels = shape.at(-1) ?? 0;
  const kept = Math.min(channels, SPATIAL_CHANNELS);
  const first = new Float32Array((values.length / channels) * kept);
  for (let place = 0; place < values.length / channels; place++)
    for (let channel = 0; channel < kept; channel++)
      first[place * kept + channel] = values[place * channels + channel] ?? 0;
  return { shape: [...shape.slice(0, -1), kept], values: first };
}

function rowsOf(array: NativeArray | undefined, count: number): Float32Array {
  const columns = (array?.values.length ?? 0) / count;
  if (
    array?.values instanceof Float32Array &&
    array.shape[0] === count &&
    columns >= 1 &&
    columns <= MAX_COLUMNS
  )
    return array.values;
  throw invalid(`float32 [${count}, ...] of at most ${MAX_COLUMNS} values an image`, array?.shape);
}

async function bytesOf(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) throw invalid(`a file of at most ${MAX_BYTES} bytes`, size);
    return await readFile(path);
  } catch (error) {
    if (error instanceof DiffusionError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    const text = `the extractor ${describeValue(path)}: wanted a frozen graph of TensorFlow; got ${why}`;
    throw new DiffusionError('EXTRACTOR_NOT_FOUND', text, { cause: error });
  }
}

function invalid(wanted: string, got: unknown): DiffusionError {
  return new DiffusionError('GRAPH_INVALID', `the frozen graph: wanted ${wanted}; got ${describeValue(got)}`);
}
