/** The Inception Score, from class probabilities that come in blocks. */

export interface InceptionScore {
  /** The mean over parts of exp(mean KL divergence of an image's classes from the part's). */
  readonly score: number;
  /** Over the images, by the infinitesimal jackknife. */
  readonly standardError: number;
}

/** As many images as the reference's evaluator has in a part. */
export const INCEPTION_SCORE_PART = 5000;

/** Blocks of probabilities [n, classes]; called twice. */
export type Part = () => AsyncIterable<Float32Array>;

/**
 * Source: evaluations/evaluator.py, `compute_inception_score`. Why: a probability of 0, which makes the reference's result
 * not a number, adds 0.
 */
export async function inceptionScore(parts: Iterable<Part>, classes: number): Promise<InceptionScore> {
  let [count, scores, variances] = [0, 0, 0];
  for (const part of parts) {
    const { divergence, standardError } = await meanDivergence(part, classes);
    count += 1;
    scores += Math.exp(divergence);
    variances += (Math.exp(divergence) * standardError) ** 2;
  }
  return { score: scores / count, standardError: Math.sqrt(variances) / count };
}

/** An image's influence on the mean is its own divergence: the part's mean is where the mean divergence is least. */
async function meanDivergence(part: Part, classes: number) {
  const mean = new Float64Array(classes);
  let count = 0;
  for await (const block of part()) {
    count += block.length / classes;
    for (const [at, p] of block.entries()) mean[at % classes] = (mean[at % classes] ?? 0) + p;
  }
  const logarithms = mean.map((sum) => Math.log(sum / count));
  let [sum, squares] = [0, 0];
  for await (const block of part())
    for (let start = 0; start < block.length; start += classes) {
      let divergence = 0;
      for (let i = 0; i < classes; i++) {
        const p = block[start + i] ?? 0;
        if (p > 0) divergence += p * (Math.log(p) - (logarithms[i] ?? 0));
      }
      sum += divergence;
      squares += divergence ** 2;
    }
  const divergence = sum / count;
  const variance = Math.max(0, squares / count - divergence ** 2);
  return { divergence, standardError: Math.sqrt(variance / (count - 1)) };
}
