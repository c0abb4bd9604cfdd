/** The table of solvers, by the names that requests have. */
import { ancestral } from './ancestral.js';
import { ddim, euler } from './ddim.js';
import { dpmpp2m, dpmpp2mSde } from './dpm-solver.js';
import { heun } from './heun.js';
import type { SolverKind } from './solver.js';
import { unipc } from './unipc.js';

const TABLE = {
  ancestral,
  ddim,
  dpmpp_2m: dpmpp2m,
  dpmpp_2m_sde: dpmpp2mSde,
  euler,
  heun,
  unipc,
};

export type SamplerName = keyof typeof TABLE;

export const SOLVERS: Readonly<Record<SamplerName, SolverKind>> = TABLE;
export const SAMPLERS = Object.keys(TABLE) as readonly SamplerName[];

/** What each is, in the order of the table: "ddim (deterministic at eta 0, ...), ...". */
export const samplerHelp = SAMPLERS.map((name) => `${name} (${SOLVERS[name].help})`).join('; ');
