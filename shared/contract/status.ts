/** DiffusionError <-> gRPC status, with google.rpc's details in `grpc-status-details-bin`. */

import { randomUUID } from 'node:crypto';

import { Metadata, status, type ServiceError } from '@grpc/grpc-js';

import { DiffusionError, type ErrorCode } from '../foundation/index.js';
import { durationFromMs, msFromDuration } from './durations.js';
import { BadRequest, ErrorInfo, RetryInfo } from './generated/google/rpc/error_details.js';
import { Status } from './generated/google/rpc/status.js';

const DETAILS_KEY = 'grpc-status-details-bin';
const ERROR_DOMAIN = 'ip-diffusion';
const TYPE_PREFIX = 'type.googleapis.com/google.rpc.';
// What may come from a server beside these is as unknown as UNKNOWN.
const KNOWN_CODES: ReadonlySet<string> = new Set(
  Object.keys(status).filter((name) => name !== 'OK' && name !== 'UNKNOWN'),
);
// Many clients accept no more than 8 KiB of headers.
const MAX_VIOLATIONS = 20;
const MAX_MESSAGE_CHARACTERS = 1500;

/** Tells the operator of an error whose text the client isn't shown. */
export type ReportInternalError = (error: unknown, id: string) => void;

/**
 * What a client is answered for a thrown value. Anything but a DiffusionError is INTERNAL with an id and no text.
 */
export function toServiceError(thrown: unknown, report: ReportInternalError): ServiceError {
  const error = thrown instanceof DiffusionError ? thrown : internalError(thrown, report);
  const code = status[error.code];
  const message = error.message.slice(0, MAX_MESSAGE_CHARACTERS);
  const details = [
    any(
      'ErrorInfo',
      ErrorInfo.encode({ reason: error.reason, domain: ERROR_DOMAIN, metadata: error.metadata }).finish(),
    ),
  ];
  if (error.violations.length > 0) {
    const fieldViolations = error.violations
      .slice(0, MAX_VIOLATIONS)
      .map(({ field, description }) => ({ field, description, reason: '', localizedMessage: undefined }));
    details.push(any('BadRequest', BadRequest.encode({ fieldViolations }).finish()));
  }
  if (error.retryAfterMs !== undefined) {
    details.push(
      any('RetryInfo', RetryInfo.encode({ retryDelay: durationFromMs(error.retryAfterMs) }).finish()),
    );
  }
  const metadata = new Metadata();
  metadata.set(DETAILS_KEY, Buffer.from(Status.encode({ code, message, details }).finish()));
  return Object.assign(new Error(message), { code, details: message, metadata });
}

function internalError(thrown: unknown, report: ReportInternalError): DiffusionError {
  const id = randomUUID();
  report(thrown, id);
  return new DiffusionError('INTERNAL', `internal error ${id}; the service's log has the cause`, {
    reason: 'INTERNAL',
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
  const known = KNOWN_CODES.has(status[thrown.code]) ? (status[thrown.code] as ErrorCode) : 'INTERNAL';
  const packed = thrown.metadata.get(DETAILS_KEY)[0];
  if (!Buffer.isBuffer(packed)) return new DiffusionError(known, thrown.details, { cause: thrown });
  const { details } = Status.decode(packed);
  const find = (name: string): Buffer | undefined =>
    details.find(({ typeUrl }) => typeUrl === TYPE_PREFIX + name)?.value;
  const [info, bad, retry] = [find('ErrorInfo'), find('BadRequest'), find('RetryInfo')];
  const errorInfo = info && ErrorInfo.decode(info);
  const retryDelay = retry && RetryInfo.decode(retry).retryDelay;
  return new DiffusionError(known, thrown.details, {
    ...(errorInfo && { reason: errorInfo.reason, metadata: errorInfo.metadata }),
    ...(bad && { violations: BadRequest.decode(bad).fieldViolations }),
    ...(retryDelay && { retryAfterMs: msFromDuration(retryDelay) }),
    cause: thrown,
  });
}

function isServiceError(value: unknown): value is ServiceError {
  return value instanceof Error && 'code' in value && 'details' in value && 'metadata' in value;
}
