/** The one error class of the project: a code from gRPC's closed set, and details a program can act on. */

export type ErrorCode =
  | 'CANCELLED'
  | 'INVALID_ARGUMENT'
  | 'DEADLINE_EXCEEDED'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'RESOURCE_EXHAUSTED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'OUT_OF_RANGE'
  | 'UNIMPLEMENTED'
  | 'INTERNAL'
  | 'UNAVAILABLE'
  | 'DATA_LOSS';

/** One field that was refused: its path, and a sentence that says what was wanted and what came. */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface ErrorDetails {
  /** UPPER_SNAKE_CASE, at most 63 characters; names the cause more closely than the code does. */
  readonly reason?: string;
  readonly violations?: readonly FieldViolation[];
  /** Facts about the failure, for `google.rpc.ErrorInfo.metadata`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** How long a client should wait before it tries again. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

export class DiffusionError extends Error {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly violations: readonly FieldViolation[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = 'DiffusionError';
    this.code = code;
    this.reason = details.reason ?? code;
    this.violations = details.violations ?? [];
    this.metadata = details.metadata ?? {};
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** Describes any value shortly enough for an error message, with control characters escaped. */
export function describeValue(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'bigint' ? inner.toString() : inner,
  );
  const escaped = text.replace(
    /[\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return escaped.length <= 80 ? escaped : `${escaped.slice(0, 77)}...`;
}

/**
 * The text with at most `limit` characters, which are code points here, and "..." at its end where it was longer. Half
 * of a surrogate pair becomes U+FFFD: the text can always be encoded.
 */
export function shortened(text: string, limit: number): string {
  const whole = text.replace(/\p{Surrogate}/gu, '\ufffd');
  if (whole.length <= limit) return whole;
  const characters = Array.from(whole.slice(0, 2 * (limit + 1)));
  return characters.length <= limit ? whole : `${characters.slice(0, Math.max(0, limit - 3)).join('')}...`;
}

/** A violation in the form every message of the project has: what was wanted, and what came. */
export function violation(field: string, wanted: string, got: unknown): FieldViolation {
  return { field, description: `wanted ${wanted}; got ${describeValue(got)}` };
}

/** An INVALID_ARGUMENT error over the given violations; its message lists them all. */
export function invalidArgument(
  violations: readonly FieldViolation[],
  reason = 'INVALID_FIELD',
): DiffusionError {
  const text = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new DiffusionError('INVALID_ARGUMENT', text, { reason, violations });
}
