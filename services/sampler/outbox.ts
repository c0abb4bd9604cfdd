/** What the reader of a call has not taken yet, in the order in which it came. */

import { changes } from '../../shared/foundation/index.js';
import type { SolverState } from '../../shared/sampler/index.js';

export type News =
  | { readonly kind: 'image'; readonly index: number; readonly bytes: Uint8Array }
  /** `step`: the steps that the image has done. */
  | NewsOfStep<'preview', { /** [H, W, C]. */ readonly predXStart: Float32Array }>
  | NewsOfStep<'trajectory', { /** [H, W, C]. */ readonly sample: Float32Array }>
  | NewsOfStep<'token', { readonly state: SolverState }>;

type NewsOfStep<Kind, Content> = Content & {
  readonly kind: Kind;
  readonly index: number;
  readonly step: number;
};

export interface Outbox {
  /** A newer preview or token of an image takes the older one's place; the finished image ends both. */
  put(news: News): void;
  take(): News | undefined;
  /** Resolves while there is room for another step of a trajectory, which nothing replaces. */
  room(): Promise<void>;
  /** Nobody takes any more: whoever waits for room need not. */
  close(): void;
}

/** Steps of trajectories that wait to be taken, at most; a reader that is slow makes solvers wait. */
const MAX_TRAJECTORY_STEPS = 64;

export function outbox(): Outbox {
  const waiting = new Map<string, News>();
  let trajectorySteps = 0;
  let closed = false;
  const taken = changes();
  return {
    put: (news) => {
      const key = keyOf(news);
      waiting.delete(key);
      waiting.set(key, news);
      if (news.kind === 'trajectory') trajectorySteps += 1;
      if (news.kind !== 'image') return;
      waiting.delete(`preview ${news.index}`);
      waiting.delete(`token ${news.index}`);
    },
    take: () => {
      const [first] = waiting;
      if (first === undefined) return undefined;
      const [key, news] = first;
      waiting.delete(key);
      if (news.kind === 'trajectory') trajectorySteps -= 1;
      taken.notify();
      return news;
    },
    room: async () => {
      while (trajectorySteps >= MAX_TRAJECTORY_STEPS && !closed) await taken.next();
    },
    close: () => {
      closed = true;
      taken.notify();
    },
  };
}

function keyOf(news: News): string {
  return news.kind === 'trajectory' ? `trajectory ${news.index} ${news.step}` : `${news.kind} ${news.index}`;
}
