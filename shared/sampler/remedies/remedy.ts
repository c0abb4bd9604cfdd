/** How a remedy is declared: what it may be, and when it is on. */
import type { Demand } from '../../foundation/index.js';

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
  /** Whether it changes factors alone, so that a step with it is a sum as others are; else it looks at pixels. */
  readonly changesFactors: boolean;
}
