/** Where a set-up works, and how it speaks and stops. */
export interface SetupContext {
  /** The checkout. */
  readonly root: string;
  /** Shared by all checkouts: libraries, compiled addons and test tools. */
  readonly cache: string;
  /** Aborted by Ctrl-C; every child process and long loop ends with it. */
  readonly signal: AbortSignal;
  /** Prints one line of progress. */
  say(line: string): void;
}
