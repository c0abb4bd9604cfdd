/** The quality of images against the reference's evaluator, on a small graph with its node names. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openLinearAlgebra } from '../../shared/engine/index.js';
import { openImageSet, openInception, measureQuality, type ImageBatch } from '../../shared/quality/index.js';
import { goldenDir, goldenFile, goldenNames } from './golden.js';

interface Expected {
  readonly inception_score: number;
  readonly fid: number;
  readonly sfid: number;
  readonly precision: number;
  readonly recall: number;
  readonly pool_first_row: readonly number[];
  /** As much of the row as the file has. */
  readonly spatial_first_row_head: readonly number[];
}

const TOLERANCE = 1e-3;
const folder = join(goldenDir(), 'evaluator');
const graph = join(folder, 'classify_image_graph_def.pb');

if (goldenNames('evaluator').length > 0) {
  const expected = JSON.parse(goldenFile('evaluator/expected.json').toString()) as Expected;

  test("the features are the reference's", async (t) => {
    const algebra = await openLinearAlgebra();
    const extractor = await openInception(graph, algebra);
    const { images } = await openImageSet(join(folder, 'reference_batch.npz'));
    let first: ImageBatch | undefined;
    for await (const batch of images?.batches(4) ?? []) first ??= batch;
    const { pooled, spatial } = await extractor.extract(first as ImageBatch);
    for (const [name, values, golden] of [
      ['pooled', pooled, expected.pool_first_row],
      ['spatial', spatial ?? [], expected.spatial_first_row_head],
    ] as const) {
      const largest = Math.max(...golden.map(Math.abs));
      for (const [i, value] of golden.entries())
        t.true(Math.abs((values[i] ?? NaN) - value) <= TOLERANCE * largest, `${name}[${i}]`);
    }
    extractor.close();
    algebra.close();
  });

  test("FID, sFID, Inception Score, precision and recall are the reference's", async (t) => {
    const cacheFolder = await mkdtemp(join(tmpdir(), 'golden-evaluator-'));
    const algebra = await openLinearAlgebra();
    const extractor = await openInception(graph, algebra);
    const samples = await openImageSet(join(folder, 'sample_batch.npz'));
    const reference = await openImageSet(join(folder, 'reference_batch.npz'));
    const measures = ['frechet', 'spatial', 'score', 'manifold'] as const;
    const result = await measureQuality(samples, reference, extractor, { algebra, cacheFolder, measures });
    const found = new Map(result.measurements.map(({ name, value }) => [name, value]));
    for (const [name, golden] of [
      ['FID', expected.fid],
      ['sFID', expected.sfid],
      ['Inception Score', expected.inception_score],
    ] as const)
      t.true(Math.abs((found.get(name) ?? NaN) - golden) <= TOLERANCE * golden, `${name} ${found.get(name) ?? ''}`);
    // Within one image: distances are rounded to float16.
    for (const [name, golden, set] of [
      ['precision', expected.precision, result.samples],
      ['recall', expected.recall, result.reference],
    ] as const) {
      const image = 1 / (set.images?.count ?? NaN);
      t.true(Math.abs((found.get(name) ?? NaN) - golden) <= image * 1.001, `${name} ${found.get(name) ?? ''}`);
    }
    for (const each of [extractor, algebra, samples, reference]) await each.close();
    await rm(cacheFolder, { recursive: true });
  });
}
