/** The table of remedies, by the settings that they are. */
import type { Demand } from '../../foundation/index.js';
import { dynamicThreshold, type DynamicThreshold } from './dynamic-threshold.js';
import { epsilonScaling, type EpsilonScaling } from './epsilon-scaling.js';
import type { Remedy, RemedyContext } from './remedy.js';
import { scoreRescaling, type ScoreRescaling } from './score-rescaling.js';
import { timeShift, type TimeShift } from './time-shift.js';
import { varianceNormalisation } from './variance-normalisation.js';
import { waveletCorrection, type WaveletCorrection } from './wavelet-correction.js';

/** The remedies' settings; unset is off. */
export interface Remedies {
  readonly dynamicThreshold?: DynamicThreshold;
  readonly epsilonScaling?: EpsilonScaling;
  readonly timeShift?: TimeShift;
  readonly varianceNormalisation?: boolean;
  readonly scoreRescaling?: ScoreRescaling;
  readonly waveletCorrection?: WaveletCorrection;
}

const TABLE: { readonly [Name in keyof Remedies]-?: Remedy<NonNullable<Remedies[Name]>> } = {
  dynamicThreshold,
  epsilonScaling,
  timeShift,
  varianceNormalisation,
  scoreRescaling,
  waveletCorrection,
};

/** Checks the remedies that are set. @returns those that are on. */
export function remediesOf(settings: Remedies, demand: Demand, context: RemedyContext): Remedies {
  const on = Object.entries(TABLE).flatMap(([name, { check, isOn }]) => {
    const value = settings[name as keyof Remedies];
    if (value === undefined) return [];
    // Each row takes what the settings have under its name.
    check(value as never, demand, context);
    return isOn(value as never) ? [[name, value]] : [];
  });
  return Object.fromEntries(on) as Remedies;
}

/** The remedies that look at pixels. */
export function remediesOfPixels(remedies: Remedies): (keyof Remedies)[] {
  return (Object.keys(remedies) as (keyof Remedies)[]).filter((name) => !TABLE[name].changesFactors);
}
