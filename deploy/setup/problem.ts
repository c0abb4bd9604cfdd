/** What set-up reports when it cannot continue: one sentence for the fault, one for the remedy, and no stack. */

export class SetupProblem extends Error {
  readonly remedy: string;

  constructor(message: string, remedy: string) {
    super(message);
    this.name = 'SetupProblem';
    this.remedy = remedy;
  }
}
