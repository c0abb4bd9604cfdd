/** The table of remedies, by the settings that they are. */
import type { Demand } from '../../foundation/index.js';
import type { SlotPart } from '../slot-part.js';
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

const NAMES = Object.keys(TABLE) as (keyof Remedies)[];

/** Of the remedies that are on, those that a slot can't compute. */
export function remediesUnfitForSlots(remedies: Remedies): (keyof Remedies)[] {
  return NAMES.filter((name) => remedies[name] !== undefined && TABLE[name].inSlots === undefined);
}

/** Those that a slot computes as parts of their own. */
export const REMEDY_PARTS = NAMES.flatMap((name): { name: keyof Remedies; part: SlotPart<never> }[] => {
  const { inSlots: part } = TABLE[name];
  return typeof part === 'object' ? [{ name, part }] : [];
});
