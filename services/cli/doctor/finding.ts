/** The result of a check of the doctor. */

export interface Finding {
  readonly name: string;
  /** `absent`: not there, and not needed either. */
  readonly state: 'ok' | 'wrong' | 'absent';
  readonly text: string;
  readonly remedy?: string;
}
