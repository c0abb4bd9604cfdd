/** Progress of a measurement, which has stages: how much of this one is done, and the time until it ends. */

import type { Context } from '../command.js';
import { leftFacts } from '../describe-job.js';

export interface StageProgress {
  /** @param share of the stage, from 0 to 1; undefined where it isn't known. */
  update(stage: string, share: number | undefined, facts?: readonly string[]): void;
  end(): void;
}

interface Begun {
  readonly stage: string;
  readonly share: number;
  readonly ms: number;
}

export function stageProgress({ terminal, clock }: Pick<Context, 'terminal' | 'clock'>): StageProgress {
  const progress = terminal.progress();
  let begun: Begun | undefined;
  const leftMs = (stage: string, share: number): number | undefined => {
    const now = clock.monotonicMs();
    if (begun?.stage !== stage || share < begun.share) begun = { stage, share, ms: now };
    const done = share - begun.share;
    return done > 0 ? ((now - begun.ms) * (1 - share)) / done : undefined;
  };
  return {
    update: (stage, share, facts = []) => {
      if (share === undefined) progress.update({ label: stage, facts });
      else progress.update({ label: stage, share, facts: [...facts, ...leftFacts(leftMs(stage, share))] });
    },
    end: () => {
      progress.end();
    },
  };
}
