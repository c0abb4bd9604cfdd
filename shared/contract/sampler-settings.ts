/** Sampler settings <-> the wire. What a client left unset stays unset; the sampler room checks the values. */

import type { SamplerSettings } from '../sampler/index.js';
import { samplers, timestepSpacings } from './enums.js';
import type { SamplerSettings as WireSettings } from './generated/diffusion/types/v1/sampling.js';

/** The result is unchecked (a wire enum of 77 or a NaN passes); hand it to `samplerPlan`. */
export function samplerSettingsFromWire(wire: WireSettings | undefined): SamplerSettings {
  const { timesteps, eta, clipDenoised, varianceNormalisation, guidanceScale, dynamicThreshold } = wire ?? {};
  const { epsilonScaling, timeShift, scoreRescaling, waveletCorrection } = wire ?? {};
  const spacing = timestepSpacings.read(wire?.spacing ?? 0);
  return {
    sampler: samplers.read(wire?.sampler ?? 0) ?? 'ancestral',
    ...(timesteps?.$case === 'steps' && { steps: timesteps.value }),
    ...(timesteps?.$case === 'respacing' && { respacing: timesteps.value }),
    ...(spacing !== undefined && { spacing }),
    ...(eta !== undefined && { eta }),
    ...(clipDenoised !== undefined && { clipDenoised }),
    ...(epsilonScaling && { epsilonScaling: { k: epsilonScaling.k ?? 0, b: epsilonScaling.b ?? 1 } }),
    ...(timeShift && { timeShift }),
    ...(varianceNormalisation !== undefined && { varianceNormalisation }),
    ...(scoreRescaling && { scoreRescaling: { k: scoreRescaling.k, sigma: scoreRescaling.sigma ?? 1 } }),
    ...(guidanceScale !== undefined && { guidanceScale }),
    ...(dynamicThreshold !== undefined && { dynamicThreshold }),
    ...(waveletCorrection !== undefined && { waveletCorrection }),
  };
}

/** Without the precision, which is not the sampler's. */
export function samplerSettingsToWire(settings: SamplerSettings): Omit<WireSettings, 'precision'> {
  const { sampler, steps, respacing, spacing, eta, clipDenoised, ...remedies } = settings;
  const { epsilonScaling, timeShift, varianceNormalisation, scoreRescaling } = remedies;
  const { guidanceScale, dynamicThreshold, waveletCorrection } = remedies;
  return {
    sampler: samplers.write(sampler),
    timesteps: timestepsToWire({ steps, respacing }),
    spacing: spacing === undefined ? 0 : timestepSpacings.write(spacing),
    eta,
    clipDenoised,
    epsilonScaling,
    timeShift,
    varianceNormalisation,
    scoreRescaling,
    guidanceScale,
    dynamicThreshold,
    waveletCorrection,
  };
}

function timestepsToWire({
  steps,
  respacing,
}: {
  readonly steps: number | undefined;
  readonly respacing: string | undefined;
}): WireSettings['timesteps'] {
  if (respacing !== undefined) return { $case: 'respacing', value: respacing };
  return steps === undefined ? undefined : { $case: 'steps', value: steps };
}
