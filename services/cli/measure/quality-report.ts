/** What was measured of given images, for people and as a result like that of any measurement. */

import { buildOf, qualityAsResult, type MeasuredImages } from '../../../shared/measuring/index.js';
import type { MeasuredSet, QualityResult } from '../../../shared/quality/index.js';
import { formatCount, table } from '../format.js';
import type { Measured } from './run-measuring.js';

const HASH_CHARACTERS = 12;
export const STATISTICS_FILE = 'samples-statistics.npz';

/** Lines that say what was compared, what came out, and what a reader must know. */
export function describeQuality(result: QualityResult): string[] {
  const { extractor, samples, reference, measurements, notMeasured, warnings } = result;
  const rows = measurements.map(({ name, value, standardError, better }) => [
    name,
    digits(value),
    standardError === undefined ? '' : `± ${digits(standardError)}`,
    `${better} is better`,
  ]);
  return [
    `samples    ${describeSet(samples)}`,
    `reference  ${describeSet(reference)}`,
    `extractor  ${extractor.name}, ${formatCount(extractor.columns)} features, ${shortHash(extractor.sha256)}`,
    '',
    ...table([['MEASURE', 'VALUE', 'STANDARD ERROR', ''], ...rows]),
    ...notMeasured.map(({ names, why }) => `${names.join(', ')}: not measured: ${why}`),
    ...warnings.map((warning) => `warning: ${warning}`),
  ];
}

/** @param seconds What it took. */
export function measuredQuality(result: QualityResult, seconds: number): Measured {
  const { samples, reference, extractor, seed } = result;
  const { columns: features, ...named } = extractor;
  const images = samples.images?.count ?? 0;
  return {
    // Nothing was sampled.
    results: [qualityAsResult(result, { steps: 0, sampler: { sampler: 'ancestral' } })],
    contract: {
      ...{ kind: 'quality', steps: 0, images, seed: seed.toString(), build: buildOf(), seconds },
      samples: imagesOf(samples),
      data: imagesOf(reference),
      extractor: { ...named, features },
    },
  };
}

function imagesOf({ address, images }: MeasuredSet): MeasuredImages {
  return { address, images: images?.count ?? 0, sha256: images?.sha256 ?? '' };
}

function describeSet({ address, images, storedStatistics }: MeasuredSet): string {
  const stored = storedStatistics ? ', mean and covariance from its file' : '';
  if (images === undefined) return `${address}: statistics only`;
  const { count, width, height, sha256 } = images;
  return `${address}: ${formatCount(count)} images of ${width}x${height}, ${shortHash(sha256)}${stored}`;
}

const shortHash = (sha256: string): string => `SHA-256 ${sha256.slice(0, HASH_CHARACTERS)}`;

/** Figures of published tables have up to five digits. */
function digits(value: number): string {
  return String(Number(value.toPrecision(5)));
}
