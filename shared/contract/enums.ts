/** Words <-> the numbers that stand for them on the wire. */

import { WIRE_REASONS, type WireReason } from '../foundation/index.js';
import { PRECISIONS } from '../recipe/index.js';
import { SAMPLERS, SPACINGS } from '../sampler/index.js';
import { Precision } from './generated/diffusion/types/v1/recipe.js';
import { ImageFormat, Sampler, TimestepSpacing } from './generated/diffusion/types/v1/sampling.js';
import { Priority as WirePriority } from './generated/diffusion/sampler/v1/sampler.js';
import {
  JobState as WireJobState,
  StoreChange as WireStoreChange,
} from './generated/diffusion/trainer/v1/trainer.js';
import { ErrorReason } from './generated/diffusion/types/v1/errors.js';
import { JOB_STATES } from './job-states.js';

export interface EnumCodec<Word extends string, Wire extends number> {
  /**
   * The word of a wire value; undefined for 0, which means unset. A number without a word comes back as text
   * such as "unknown value 77", so that the check of the field refuses it by name.
   */
  read(wire: number): Word | undefined;
  write(word: Word): Wire;
}

/**
 * The codec of an enum of the contracts: `x_start` is MEAN_TYPE_X_START, `DDPM-IP` is VARIANT_DDPM_IP.
 *
 * @param values The enum's values by their names.
 * @param words All words that it has.
 */
export function enumCodec<const Word extends string, Wire extends number>(
  values: Readonly<Record<string, Wire>>,
  words: readonly Word[],
): EnumCodec<Word, Wire> {
  const unset = Object.keys(values).find((name) => name.endsWith('_UNSPECIFIED')) ?? '';
  const nameOf = (word: Word): string =>
    unset.replace(/UNSPECIFIED$/, word.toUpperCase().replaceAll('-', '_'));
  const wireOf = new Map(
    words.map((word) => {
      const wire = values[nameOf(word)];
      if (wire === undefined)
        throw new Error(`the proto files have no value ${nameOf(word)} for the word ${word}`);
      return [word, wire] as const;
    }),
  );
  const wordOf = new Map<number, Word>(Array.from(wireOf, ([word, wire]) => [wire, word]));
  return {
    read: (wire) => (wire === 0 ? undefined : (wordOf.get(wire) ?? (`unknown value ${wire}` as Word))),
    write: (word) => {
      const wire = wireOf.get(word);
      if (wire === undefined) throw new Error(`wanted one of ${words.join(', ')}; got ${word}`);
      return wire;
    },
  };
}

export const precisions = enumCodec(Precision, PRECISIONS);
export const samplers = enumCodec(Sampler, SAMPLERS);
export const timestepSpacings = enumCodec(TimestepSpacing, SPACINGS);

export const OUTPUT_FORMATS = ['png', 'webp', 'raw_float32'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];
export const imageFormats = enumCodec(ImageFormat, OUTPUT_FORMATS);

/** The classes of calls to the sampler, the one that goes first before the others. */
export const PRIORITIES = ['interactive', 'normal', 'batch'] as const;
export type Priority = (typeof PRIORITIES)[number];
export const priorities = enumCodec(WirePriority, PRIORITIES);

export const jobStates = enumCodec(WireJobState, JOB_STATES);

/** What a running job reports about its store. */
export const STORE_CHANGES = [
  'unavailable',
  'slow',
  'spilled',
  'spill_removed',
  'spill_uploaded',
  'available',
] as const;
export type StoreChange = (typeof STORE_CHANGES)[number];
export const storeChanges = enumCodec(WireStoreChange, STORE_CHANGES);

/** A reason in google.rpc.ErrorInfo is the same name as text. */
export const errorReasons = enumCodec(ErrorReason, Object.keys(WIRE_REASONS) as WireReason[]);
