/** Thrown values -> what is printed for a person or a program, and the exit code. */

import { DiffusionError } from '../../shared/foundation/index.js';
import { INTERRUPTED } from './interrupts.js';
import { UsageError } from './parse-arguments.js';
import { toJsonLine, type Terminal } from './terminal.js';

/** Reports a failure on standard error and returns the exit code: 1 failed, 2 usage, 130 interrupted. */
export function reportFailure(
  error: unknown,
  terminal: Terminal,
  { debug, interrupted }: { readonly debug: boolean; readonly interrupted: boolean },
): number {
  const failure = describeFailure(error, interrupted);
  if (terminal.json) {
    const { exitCode, ...shown } = failure;
    terminal.printError(toJsonLine({ error: shown, exitCode }));
  } else if (!interrupted) {
    const { bad, dim } = terminal.style;
    terminal.printError(`${bad('error:')} ${failure.message}`);
    for (const { field, description } of failure.violations)
      terminal.printError(`  ${field}: ${description}`);
    if (failure.hint !== undefined) terminal.printError(dim(`hint: ${failure.hint}`));
  }
  if (debug && error instanceof Error) terminal.printError(error.stack ?? error.message);
  return failure.exitCode;
}

interface Failure {
  readonly code: string;
  readonly reason: string;
  readonly message: string;
  readonly violations: readonly { readonly field: string; readonly description: string }[];
  readonly hint?: string | undefined;
  readonly exitCode: number;
}

function describeFailure(error: unknown, interrupted: boolean): Failure {
  const violations: Failure['violations'] = [];
  if (interrupted) {
    return {
      code: 'CANCELLED',
      reason: 'INTERRUPTED',
      message: 'interrupted',
      violations,
      exitCode: INTERRUPTED,
    };
  }
  if (error instanceof UsageError) {
    const hint = `see npx ${error.usage} --help`;
    return {
      code: 'INVALID_ARGUMENT',
      reason: 'USAGE',
      message: error.message,
      violations,
      hint,
      exitCode: 2,
    };
  }
  if (error instanceof DiffusionError) {
    const { code, reason, violations: refused } = error;
    // The message of a refusal lists its fields; they are printed one by one instead.
    const message =
      code === 'INVALID_ARGUMENT' && refused.length > 0
        ? `${refused.length === 1 ? 'a field was' : `${refused.length} fields were`} refused`
        : firstLine(error.message);
    return { code, reason, message, violations: refused, hint: error.metadata['remedy'], exitCode: 1 };
  }
  const message = error instanceof Error ? firstLine(error.message) : String(error);
  const hint = '--debug shows the stack';
  return { code: 'INTERNAL', reason: 'INTERNAL', message, violations, hint, exitCode: 1 };
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0] ?? message;
}
