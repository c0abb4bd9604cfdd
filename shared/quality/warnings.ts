/** What a reader of the figures must know. */
import type { Extractor } from './extractor.js';
import type { Rows } from '../statistics/index.js';

/** Published figures are of this many samples. */
const PUBLISHED_COUNT = 50_000;

interface WarnedSide {
  readonly pooled: { readonly rows: Rows | undefined };
  readonly set: { readonly storedStatistics: boolean };
}

export function warningsOf(samples: WarnedSide, reference: WarnedSide, { names }: Extractor): string[] {
  const sides = [
    ['samples', samples],
    ['reference', reference],
  ] as const;
  const warnings = sides.flatMap(
    ([
      what,
      {
        pooled: { rows },
        set,
      },
    ]) =>
      rows === undefined || set.storedStatistics || rows.count > rows.columns
        ? []
        : [
            `${what}: ${rows.count} images for ${rows.columns} features: their covariance is singular, and ${names.frechet} is much too large`,
          ],
  );
  const count = samples.pooled.rows?.count;
  if (names.frechet === 'FID' && count !== undefined && count < PUBLISHED_COUNT)
    warnings.push(
      `published figures are of 50,000 samples; those of ${count} are larger, and compare only with figures of as many`,
    );
  for (const [what, { set }] of sides)
    if (set.storedStatistics)
      warnings.push(
        `mean and covariance of the ${what} are from its file, which doesn't say what extractor made them`,
      );
  return warnings;
}
