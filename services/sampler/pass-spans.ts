/** The spans of a pass: it computes rows of many calls, and each of these calls gets a span of it. */

import type { RepeatedSpans } from '../../shared/tracing/index.js';

/** A row of the network. */
export interface AtTimestep {
  readonly t: number;
}

interface PassRow {
  readonly row: AtTimestep;
  /** Of the call; undefined where it is not traced. */
  readonly passes: RepeatedSpans | undefined;
}

/** Each span says how many of the pass's rows are the call's, and at which timesteps. @returns what ends them. */
export function beginPassSpans(pass: readonly PassRow[]): () => void {
  const timesteps = new Map<RepeatedSpans, number[]>();
  for (const { row, passes } of pass)
    if (passes !== undefined) timesteps.set(passes, [...(timesteps.get(passes) ?? []), row.t]);
  const ends = [...timesteps].map(([passes, of]) =>
    passes.begin({
      'diffusion.rows': of.length,
      'diffusion.pass_rows': pass.length,
      'diffusion.timestep_min': Math.min(...of),
      'diffusion.timestep_max': Math.max(...of),
    }),
  );
  return () => {
    for (const end of ends) end();
  };
}
