/** The one error class of the project: a reason from a closed set, with its code, and details a program can act on. */

import { REASONS, isReason, type ErrorCode, type Reason } from './reasons.js';

/**
 * One field that was refused: its path from the request, as the proto names it (`recipe.dataset.image_size`,
 * `classes[3]`), and a sentence that says what was wanted and what came.
 */
export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

export interface ErrorDetails {
  readonly violations?: readonly FieldViolation[];
  /** Facts about the failure, for `google.rpc.ErrorInfo.metadata`. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** How long a client should wait before it tries again. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

export class DiffusionError extends Error {
  readonly code: ErrorCode;
  /** One of `REASONS`, or what another build's service sent. */
  readonly reason: string;
  readonly violations: readonly FieldViolation[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = 'DiffusionError';
    this.code = REASONS[reason];
    this.reason = reason;
    this.violations = details.violations ?? [];
    this.metadata = details.metadata ?? {};
    this.retryAfterMs = details.retryAfterMs;
  }

  /** An error as another service or another error gave it, whose reason this build may not know. */
  static received(code: ErrorCode, reason: string, message: string, details: ErrorDetails): DiffusionError {
    return Object.assign(new DiffusionError('ANSWER_UNKNOWN', message, details), { code, reason });
  }
}

/**
 * The text, at most `limit` UTF-16 units long: what is too long ends in "...". A pair of surrogates stays whole, and a
 * lone one becomes U+FFFD, so that the result can always be encoded (`encodeURI` throws for a lone surrogate).
 */
export function shortened(text: string, limit: number): string {
  // Nothing past the limit is looked at: the text may be very long.
  const isLong = text.length > limit;
  const kept = isLong ? text.slice(0, Math.max(0, limit - 3)).replace(/[\ud800-\udbff]$/, '') : text;
  return kept.replace(/\p{Surrogate}/gu, '\ufffd') + (isLong ? '...' : '');
}

const MAX_DESCRIPTION = 80;
/** Longer lists are described by their length. */
const MAX_LISTED = 40;

/** Describes any value shortly enough for an error message, with control characters escaped. */
export function describeValue(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (value === undefined) return 'nothing';
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`;
  if (Array.isArray(value) && value.length > MAX_LISTED) return lengthOf(value);
  // As much of a text as can be shown, so that a long one is not copied.
  const bounded = typeof value === 'string' ? shortened(value, 2 * MAX_DESCRIPTION) : value;
  const text = JSON.stringify(bounded, (_key, inner: unknown) => {
    if (Array.isArray(inner) && inner.length > MAX_LISTED) return lengthOf(inner);
    return typeof inner === 'bigint' ? inner.toString() : inner;
  });
  const escaped = text.replace(
    /[\u007f-\u009f\u200b-\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return shortened(escaped, MAX_DESCRIPTION);
}

function lengthOf(list: readonly unknown[]): string {
  return `a list of ${list.length} values`;
}

/** A violation in the form every message of the project has: what was wanted, and what came. */
export function violation(field: string, wanted: string, got: unknown): FieldViolation {
  return { field, description: `wanted ${wanted}; got ${describeValue(got)}` };
}

/** A field's name in the contracts: `image_size` of `imageSize`. */
export function protoName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** Adds a violation to a list where what was wanted isn't met. */
export type Demand = (met: boolean, field: string, wanted: string, got: unknown) => void;

/** The demands that a check makes and that aren't met, in its order. */
export function unmet(check: (demand: Demand) => void): FieldViolation[] {
  const found: FieldViolation[] = [];
  check((met, field, wanted, got) => {
    if (!met) found.push(violation(field, wanted, got));
  });
  return found;
}

/** The violations of a message, under the field that holds it; as they are where that is empty. */
export function within(field: string, violations: readonly FieldViolation[]): FieldViolation[] {
  if (field === '') return [...violations];
  return violations.map((inner) => ({ ...inner, field: `${field}.${inner.field}` }));
}

export type InvalidReason = {
  [R in Reason]: (typeof REASONS)[R] extends 'INVALID_ARGUMENT' ? R : never;
}[Reason];

/** Whether a reason is one of INVALID_ARGUMENT. */
export function isInvalid(reason: string): reason is InvalidReason {
  return isReason(reason) && REASONS[reason] === 'INVALID_ARGUMENT';
}

/** An INVALID_ARGUMENT error over the given violations; its message lists the first of them. */
export function invalidArgument(
  violations: readonly FieldViolation[],
  reason: InvalidReason = 'INVALID_FIELD',
): DiffusionError {
  return new DiffusionError(reason, violationsText(violations), { violations });
}

const MAX_VIOLATIONS_IN_TEXT = 20;

/** The violations in one line, of which very many are counted. */
export function violationsText(violations: readonly FieldViolation[]): string {
  const shown = violations.slice(0, MAX_VIOLATIONS_IN_TEXT);
  const left = violations.length - shown.length;
  return [
    ...shown.map(({ field, description }) => `${field}: ${description}`),
    ...(left === 0 ? [] : [`and ${left} more`]),
  ].join('; ');
}
