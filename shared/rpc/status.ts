/** DiffusionError <-> gRPC status, with google.rpc's details in `grpc-status-details-bin`. */

import { randomUUID } from 'node:crypto';
import { channel } from 'node:diagnostics_channel';

import { Metadata, status, type ServiceError } from '@grpc/grpc-js';

import { DiffusionError, shortened, type ErrorCode } from '../foundation/index.js';
import { durationFromMs, msFromDuration } from '../contract/index.js';
import { BadRequest, ErrorInfo, RetryInfo } from '../contract/generated/google/rpc/error_details.js';
import { Status } from '../contract/generated/google/rpc/status.js';

const DETAILS_KEY = 'grpc-status-details-bin';
const TYPE_PREFIX = 'type.googleapis.com/google.rpc.';
// What may come from a server beside these is as unknown as UNKNOWN.
const KNOWN_CODES: ReadonlySet<string> = new Set(
  Object.keys(status).filter((name) => name !== 'OK' && name !== 'UNKNOWN'),
);
// Many clients accept no more than 8 KiB of headers, in which the message travels twice: percent-encoded by itself, and
// in base64 within the details.
const MAX_ENCODED_MESSAGE = 1500;
const MAX_DETAILS_BYTES = 3000;
const MAX_REASON = 63;
const MAX_FACTS = 8;
const MAX_FACT = 100;
const MAX_FIELD_TEXT = 300;

/** Logs an error whose text the client doesn't get. @param call What finds the call in the log and in traces. */
export type ReportInternalError = (
  error: unknown,
  id: string,
  call?: Readonly<Record<string, string>>,
) => void;

/** An error that a client is answered. */
export interface CallError {
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly error: DiffusionError;
}

/** Every error that a service of this process answers, as `CallError`. */
const callErrors = channel('ip-diffusion.rpc.error');

/**
 * What a client is answered for a thrown value. Anything but a DiffusionError is INTERNAL with an id and no text.
 *
 * @param method `/package.Service/Method`; the service's name is the error's domain.
 */
export function toServiceError(thrown: unknown, method: string, report: ReportInternalError): ServiceError {
  const error = thrown instanceof DiffusionError ? thrown : internalError(thrown, report);
  callErrors.publish({ method, error } satisfies CallError);
  const code = status[error.code];
  const message = sendable(error.message);
  const metadata = new Metadata();
  const packed = Status.encode({
    code,
    message,
    details: detailsOf(error, method.split('/')[1] ?? ''),
  }).finish();
  metadata.set(DETAILS_KEY, Buffer.from(packed));
  return Object.assign(new Error(message), { code, details: message, metadata });
}

/** The text, as much of it as fits a header when percent-encoded (a character may take twelve there). */
function sendable(text: string): string {
  let message = shortened(text, MAX_ENCODED_MESSAGE);
  while (encodeURI(message).length > MAX_ENCODED_MESSAGE) {
    message = shortened(message, Math.floor(0.8 * message.length));
  }
  return message;
}

type Detail = ReturnType<typeof any>;

/** What a program can act on, the most important first, as much as fits. */
function detailsOf({ reason, metadata, violations, retryAfterMs }: DiffusionError, domain: string): Detail[] {
  const facts = Object.entries(metadata)
    .slice(0, MAX_FACTS)
    .map(([name, fact]) => [shortened(name, MAX_FACT), shortened(fact, MAX_FACT)] as const);
  const info = {
    reason: shortened(reason, MAX_REASON),
    domain,
    metadata: Object.fromEntries(facts),
  };
  const details = [any('ErrorInfo', ErrorInfo.encode(info).finish())];
  if (retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(retryAfterMs);
    details.push(any('RetryInfo', RetryInfo.encode({ retryDelay }).finish()));
  }
  if (violations.length === 0) return details;
  let left = MAX_DETAILS_BYTES - details.reduce((sum, { value }) => sum + value.length, 0);
  const fieldViolations = [];
  for (const { field, description } of violations) {
    const withViolations = {
      field: shortened(field, MAX_FIELD_TEXT),
      description: shortened(description, MAX_FIELD_TEXT),
    };
    const violation = { ...withViolations, reason: '', localizedMessage: undefined };
    left -= BadRequest.encode({ fieldViolations: [violation] }).finish().length;
    if (left < 0) break;
    fieldViolations.push(violation);
  }
  return [...details, any('BadRequest', BadRequest.encode({ fieldViolations }).finish())];
}

function internalError(thrown: unknown, report: ReportInternalError): DiffusionError {
  const id = randomUUID();
  report(thrown, id);
  return new DiffusionError('INTERNAL', `internal error ${id}; the service's log has the cause`, {
    metadata: { id },
  });
}

function any(name: string, value: Uint8Array): { typeUrl: string; value: Buffer } {
  return { typeUrl: TYPE_PREFIX + name, value: Buffer.from(value) };
}

/** What a client makes of a failed call: the server's error, with its details where it sent some. */
export function fromServiceError(thrown: unknown): DiffusionError {
  if (thrown instanceof DiffusionError) return thrown;
  if (!isServiceError(thrown)) return new DiffusionError('INTERNAL', String(thrown), { cause: thrown });
  const code = KNOWN_CODES.has(status[thrown.code]) ? (status[thrown.code] as ErrorCode) : 'INTERNAL';
  const packed = thrown.metadata.get(DETAILS_KEY)[0];
  if (!Buffer.isBuffer(packed)) return DiffusionError.received(code, code, thrown.details, { cause: thrown });
  const { details } = Status.decode(packed);
  const find = (name: string): Buffer | undefined =>
    details.find(({ typeUrl }) => typeUrl === TYPE_PREFIX + name)?.value;
  const [info, bad, retry] = [find('ErrorInfo'), find('BadRequest'), find('RetryInfo')];
  const errorInfo = info && ErrorInfo.decode(info);
  const retryDelay = retry && RetryInfo.decode(retry).retryDelay;
  return DiffusionError.received(code, errorInfo?.reason ?? code, thrown.details, {
    ...(errorInfo && { metadata: errorInfo.metadata }),
    ...(bad && { violations: BadRequest.decode(bad).fieldViolations }),
    ...(retryDelay && { retryAfterMs: msFromDuration(retryDelay) }),
    cause: thrown,
  });
}

function isServiceError(value: unknown): value is ServiceError {
  return value instanceof Error && 'code' in value && 'details' in value && 'metadata' in value;
}
