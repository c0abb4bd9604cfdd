/** The settings that a caller may choose, and their checks. */
import { invalidArgument, unmet, type Demand } from '../foundation/index.js';
import { checkGuidance } from './guidance.js';
import { remediesOf, type Remedies } from './remedies/index.js';
import type { RemedyContext } from './remedies/remedy.js';
import type { TimestepSpacing } from './respacing.js';
import type { SolverOption } from './solver.js';
import { SAMPLERS, SOLVERS, type SamplerName } from './solvers.js';

export type { Remedies } from './remedies/index.js';

export interface SamplerSettings extends Remedies {
  readonly sampler: SamplerName;
  /** How many timesteps, 1..T; 50 where neither this nor `respacing` is given, or T where T is less. */
  readonly steps?: number;
  /** How `steps` lie; default even. */
  readonly spacing?: TimestepSpacing;
  /** The reference's respacing text instead of `steps`. */
  readonly respacing?: string;
  /** DDIM's share of new noise, 0..1; default 0. */
  readonly eta?: number;
  /** Whether each predicted x_0 is clamped to [-1, 1]; default true. */
  readonly clipDenoised?: boolean;
  /** Classifier-free guidance. 1 is off. */
  readonly guidanceScale?: number;
}

/**
 * @returns the remedies that are on.
 * @throws INVALID_ARGUMENT naming every refused field.
 */
export function checkSettings(
  settings: SamplerSettings,
  visited: Pick<RemedyContext, 'steps' | 'timesteps'>,
): Remedies {
  const { sampler, clipDenoised = true } = settings;
  let remedies: Remedies = {};
  const found = unmet((demand) => {
    demand(SAMPLERS.includes(sampler), 'sampler', `one of ${SAMPLERS.join(', ')}`, sampler);
    for (const option of OPTIONS) checkOption(option, settings, demand);
    remedies = remediesOf(settings, demand, { ...visited, clipDenoised });
    checkGuidance(settings, demand);
  });
  if (found.length > 0) throw invalidArgument(found);
  return remedies;
}

/** Settings that some solver has for its own. */
const OPTIONS = new Set(
  Object.values(SOLVERS).flatMap(({ options = {} }) => Object.keys(options) as SolverOption[]),
);

/** A setting of other solvers is refused, for it would be ignored. */
function checkOption(option: SolverOption, settings: SamplerSettings, demand: Demand): void {
  const { sampler, [option]: value = 0 } = settings;
  const kind = SAMPLERS.includes(sampler) ? SOLVERS[sampler].options?.[option] : undefined;
  if (kind === undefined) demand(value === 0, option, `0 or unset with the ${sampler} sampler`, value);
  else demand(kind.accept(value) !== undefined, option, kind.wanted, value);
}
