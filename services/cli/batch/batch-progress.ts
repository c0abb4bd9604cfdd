/** How far a worker is, on the terminal. */

import type { BatchProgress } from '../../../shared/batch/index.js';
import type { Context } from '../command.js';
import { leftFacts } from '../describe-job.js';
import { formatCount, formatNumber } from '../format.js';

export interface BatchReport {
  readonly onProgress: (progress: BatchProgress) => void;
  readonly onShard: (shard: number, images: number) => void;
  readonly end: () => void;
  /** Images a second that this worker has made so far; 0 where it has made none. */
  rate(): number;
}

export function batchReport({ terminal, clock }: Pick<Context, 'terminal' | 'clock'>): BatchReport {
  const bar = terminal.progress();
  const beganMs = clock.monotonicMs();
  const seconds = (): number => (clock.monotonicMs() - beganMs) / 1000;
  let first: BatchProgress | undefined;
  let last: BatchProgress = { total: 0, done: 0, made: 0 };
  const perSecond = (images: number): number => (images === 0 ? 0 : images / Math.max(seconds(), 1e-3));
  return {
    rate: () => perSecond(last.made),
    end: bar.end,
    onProgress: (progress) => {
      first ??= progress;
      last = progress;
      const { total, done, made } = progress;
      // Other workers' shards count for the time that is left.
      const advancing = perSecond(done - first.done);
      bar.update({
        label: 'sampling',
        share: done / total,
        facts: [
          `${formatCount(done)}/${formatCount(total)} images`,
          ...(made > 0 ? [`${formatNumber(perSecond(made))} images/s`] : []),
          ...leftFacts(advancing > 0 ? (1000 * (total - done)) / advancing : undefined),
        ],
      });
    },
    onShard: (shard, images) => {
      const { done, total } = last;
      terminal.emit({ event: 'shard', shard, images, done, total });
    },
  };
}
