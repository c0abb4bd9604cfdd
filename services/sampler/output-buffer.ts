/** The output of a call that its reader has not taken yet, in the order in which it was made. */

import { changes } from '../../shared/foundation/index.js';
import type { SolverState } from '../../shared/sampler/index.js';

export type ImageOutput =
  | { readonly kind: 'image'; readonly index: number; readonly bytes: Uint8Array }
  /** `step`: the steps that the image has done. */
  | StepOutput<'preview', { /** [H, W, C]. */ readonly predXStart: Float32Array }>
  | StepOutput<'trajectory', { /** [H, W, C]. */ readonly sample: Float32Array }>
  | StepOutput<'token', { readonly state: SolverState }>;

type StepOutput<Kind, Content> = Content & {
  readonly kind: Kind;
  readonly index: number;
  readonly step: number;
};

export interface OutputBuffer {
  /** A newer preview or token of an image replaces the older one; the finished image removes both. */
  put(output: ImageOutput): void;
  take(): ImageOutput | undefined;
  /** Resolves while there is room for another step of a trajectory, which nothing replaces. */
  room(): Promise<void>;
  /** Ends all waits for room, as nobody takes output any more. */
  close(): void;
}

/** At most this many trajectory steps wait for the reader; then solvers wait until it takes one. */
export const MAX_TRAJECTORY_STEPS = 64;

export function outputBuffer(): OutputBuffer {
  const waiting = new Map<string, ImageOutput>();
  let trajectorySteps = 0;
  let closed = false;
  const taken = changes();
  return {
    put: (output) => {
      const key = keyOf(output);
      waiting.delete(key);
      waiting.set(key, output);
      if (output.kind === 'trajectory') trajectorySteps += 1;
      if (output.kind !== 'image') return;
      waiting.delete(`preview ${output.index}`);
      waiting.delete(`token ${output.index}`);
    },
    take: () => {
      const [first] = waiting;
      if (first === undefined) return undefined;
      const [key, output] = first;
      waiting.delete(key);
      if (output.kind === 'trajectory') trajectorySteps -= 1;
      taken.notify();
      return output;
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

function keyOf(output: ImageOutput): string {
  return output.kind === 'trajectory'
    ? `trajectory ${output.index} ${output.step}`
    : `${output.kind} ${output.index}`;
}
