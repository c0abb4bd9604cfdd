/** The Inception Score, from class probabilities that come in blocks. */

export interface InceptionScore {
  /** The mean over parts of exp(mean KL divergence of an image's classes from the part's). */
  readonly score: number;
  /** Over the parts; NaN with one part. */
  readonly standardError: number;
}

/** As many images as the reference's evaluator has in a part. */
export const INCEPTION_SCORE_PART = 5000;

/**
 * @param parts For each part, one after the other, blocks of probabilities [n, classes].
 *
 * Source: evaluations/evaluator.py, `compute_inception_score`. Why: the sum over images of p log p and the sum of p give the
 * divergence in one pass; a probability of 0, which makes the reference's result not a number, adds 0.
 */
export async function inceptionScore(
  parts: Iterable<AsyncIterable<Float32Array>>,
  classes: number,
): Promise<InceptionScore> {
  const scores: number[] = [];
  for (const part of parts) scores.push(Math.exp(await meanDivergence(part, classes)));
  const score = scores.reduce((sum, each) => sum + each, 0) / scores.length;
  const squares = scores.reduce((sum, each) => sum + (each - score) ** 2, 0);
  return { score, standardError: Math.sqrt(squares / (scores.length - 1) / scores.length) };
}

async function meanDivergence(part: AsyncIterable<Float32Array>, classes: number): Promise<number> {
  const sums = new Float64Array(classes);
  let [count, own] = [0, 0];
  for await (const block of part) {
    count += block.length / classes;
    for (const [at, p] of block.entries()) {
      own += entropyTerm(p);
      sums[at % classes] = (sums[at % classes] ?? 0) + p;
    }
  }
  return own / count - sums.reduce((sum, each) => sum + entropyTerm(each / count), 0);
}

const entropyTerm = (p: number): number => (p > 0 ? p * Math.log(p) : 0);
