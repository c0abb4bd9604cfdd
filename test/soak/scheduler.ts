/** Draws faults from the seed, one after another, until it is told to end. */

import { pause } from '../../shared/foundation/index.js';
import { deriveKey, randomStream, type RandomStream } from '../../shared/random/index.js';
import type { Fault, Scene } from './faults.js';

export interface Schedule {
  readonly faults: readonly Fault[];
  /** Tells the draws of one schedule from those of another. */
  readonly name: string;
  readonly seed: bigint;
  /** The time between two faults, drawn evenly. */
  readonly pauseMs: readonly [number, number];
}

export async function scheduleFaults(
  { faults, name, seed, pauseMs: [shortest, longest] }: Schedule,
  scene: Omit<Scene, 'draw'>,
  until: AbortSignal,
): Promise<void> {
  for (let number = 0; ; number++) {
    // Each fault has numbers of its own, so that one that takes more or fewer changes none after it.
    const draw = randomStream(deriveKey(seed, `soak/faults of ${name}`), [number]);
    await pause(shortest + draw.integer(longest - shortest), until);
    const fault = chosen(faults, draw);
    if (until.aborted || fault === undefined) return;
    const detail = await fault.run({ ...scene, draw });
    if (detail !== undefined) scene.recorder.add({ kind: 'fault', fault: fault.name, detail });
  }
}

/** One of them, by weight. */
function chosen(faults: readonly Fault[], draw: RandomStream): Fault | undefined {
  const all = faults.reduce((sum, { weight }) => sum + weight, 0);
  let left = all === 0 ? 0 : draw.integer(all);
  return faults.find(({ weight }) => (left -= weight) < 0);
}
