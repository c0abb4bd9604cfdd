/** The Inception Score of the samples. */
import {
  blocksOf,
  INCEPTION_SCORE_PART,
  inceptionScore,
  type InceptionScorePart,
  type Rows,
} from '../../statistics/index.js';
import type { Classifier } from '../extractor.js';
import { measurement, type Measure } from '../measure.js';

const IMAGES_AT_ONCE = 512;

export const score: Measure = {
  names: (names) => (names.score === undefined ? [] : [names.score]),
  measure: async ({ samples, extractor: { classifier, names }, report }) => {
    const { rows } = samples.pooled;
    if (rows === undefined) return { why: 'it needs images, and the samples have statistics only' };
    if (classifier === undefined) return { why: 'the extractor is no classifier' };
    const parts = partsOf(rows, classifier, report);
    const found = await inceptionScore(parts, classifier.classes);
    return [measurement(names.score ?? '', 'higher', found.score, found.standardError)];
  },
};

function* partsOf(
  rows: Rows,
  classifier: Classifier,
  report: (share: number) => void,
): Generator<InceptionScorePart, void, undefined> {
  for (let first = 0; first < rows.count; first += INCEPTION_SCORE_PART) {
    const part: Rows = {
      columns: rows.columns,
      count: Math.min(INCEPTION_SCORE_PART, rows.count - first),
      read: (at, count) => rows.read(first + at, count),
    };
    yield () => probabilitiesOf(part, classifier);
    report((first + part.count) / rows.count);
  }
}

async function* probabilitiesOf(
  rows: Rows,
  classifier: Classifier,
): AsyncGenerator<Float32Array, void, undefined> {
  for await (const { values } of blocksOf(rows, IMAGES_AT_ONCE)) yield await classifier.probabilities(values);
}
