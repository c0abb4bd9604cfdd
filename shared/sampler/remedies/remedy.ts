/** How a remedy is declared: what it may be, and when it is on. */
import type { Demand } from '../../foundation/index.js';
import type { SlotPart } from '../slot-part.js';

/** What the range of a remedy's settings may depend on. */
export interface RemedyContext {
  /** Timesteps that are visited. */
  readonly steps: number;
  /** T. */
  readonly timesteps: number;
  readonly clipDenoised: boolean;
}

/** A row of the table of remedies. A plan has no settings that are off, so that they cost and change nothing. */
export interface Remedy<Settings> {
  readonly check: (settings: Settings, demand: Demand, context: RemedyContext) => void;
  readonly isOn: (settings: Settings) => boolean;
  /** How a slot computes it: by other factors of the sums, or as a part of its own; absent where a slot can't. */
  readonly inSlots?: 'factors' | SlotPart<Settings>;
}
