/** What was measured, for people and as files. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import type { MeasuredSet, QualityResult } from '../../../shared/quality/index.js';
import { formatCount, table } from '../format.js';
import { toJsonLine } from '../terminal.js';

const HASH_CHARACTERS = 12;
const JSON_FILE = 'quality.json';
const CSV_FILE = 'quality.csv';
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

/** Writes `quality.json` and `quality.csv`; gives their paths. */
export async function writeQuality(folder: string, result: QualityResult): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const [json, csv] = [join(folder, JSON_FILE), join(folder, CSV_FILE)];
  await writeFile(json, `${JSON.stringify(JSON.parse(toJsonLine(result)), undefined, 2)}\n`);
  const { extractor, samples, reference } = result;
  const facts = [
    ...[samples.images?.count, reference.images?.count].map((count) => String(count ?? '')),
    ...[extractor.sha256, samples.images?.sha256 ?? '', reference.images?.sha256 ?? ''],
  ];
  const rows = result.measurements.map(({ name, value, standardError }) =>
    [name, value, standardError ?? '', ...facts].join(','),
  );
  const heading =
    'measure,value,standard_error,samples,reference_images,extractor_sha256,samples_sha256,reference_sha256';
  await writeFile(csv, [heading, ...rows, ''].join('\n'));
  return [json, csv];
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
