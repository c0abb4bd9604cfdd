/** The result of a check of the doctor. */

export interface Finding {
  readonly name: string;
  /** `absent`: not there, and not needed either. `warning`: it works, and is not as it should be. */
  readonly state: 'ok' | 'warning' | 'wrong' | 'absent';
  readonly text: string;
  readonly remedy?: string;
}
