/** A token with which a call goes on with an image that another call began: the whole request, and the solver's state. */

import { createHash } from 'node:crypto';

import { decodeSafetensors, encodeSafetensors, type TensorData } from '../../shared/checkpoint/index.js';
import { samplerWire } from '../../shared/contract/index.js';
import { DiffusionError, invalidArgument } from '../../shared/foundation/index.js';
import type { SolverState } from '../../shared/sampler/index.js';

/** What all tokens of a call share. */
export interface Resumable {
  /** With version and average pinned, without what the state holds already. */
  readonly request: samplerWire.GenerateRequest;
  /** Of the weights that drew the image so far, in hexadecimal. */
  readonly weightsSha256: string;
}

export interface ResumePoint extends Resumable {
  readonly index: number;
  readonly state: SolverState;
}

/** Values of an image's state, at most: a token has to fit into a message of 4 MiB, whatever the solver remembers. */
export const MAX_RESUMABLE_VALUES = 200_000;

const FORMAT = 'ip-diffusion resume token 1';
const REQUEST = 'request';
const STATE = 'x';
const DIGEST_BYTES = 32;

/** SHA-256 of the rest, then safetensors: the request's bytes, x, and what the solver remembers of earlier steps. */
export function writeResumeToken({ request, weightsSha256, index, state }: ResumePoint): Buffer {
  const bytes = samplerWire.GenerateRequest.encode(request).finish();
  const tensors = new Map<string, TensorData>([
    [REQUEST, { dtype: 'U8', shape: [bytes.length], data: bytes }],
    [STATE, floats(state.x)],
    ...state.history.map((values, i) => [historyName(i), floats(values)] as const),
  ]);
  const content = encodeSafetensors(tensors, {
    format: FORMAT,
    weightsSha256,
    index: String(index),
    stepsDone: String(state.stepsDone),
  });
  return Buffer.concat([digestOf(content), content]);
}

/**
 * Reads a token.
 *
 * @param field What it is called where it is refused.
 * @throws DiffusionError INVALID_ARGUMENT (reason RESUME_TOKEN_INVALID) for bytes that aren't a whole token.
 */
export function readResumeToken(token: Uint8Array, field: string): ResumePoint {
  const content = token.subarray(DIGEST_BYTES);
  if (!digestOf(content).equals(token.subarray(0, DIGEST_BYTES))) throw refused(field);
  const { tensors, metadata } = decoded(content, field);
  const request = tensors.get(REQUEST);
  const x = tensors.get(STATE);
  const whole = ['index', 'stepsDone'].map((name) => Number(metadata.get(name)));
  const [index, stepsDone] = whole;
  const weightsSha256 = metadata.get('weightsSha256');
  if (
    metadata.get('format') !== FORMAT ||
    request?.dtype !== 'U8' ||
    x?.dtype !== 'F32' ||
    weightsSha256 === undefined ||
    index === undefined ||
    stepsDone === undefined ||
    !whole.every((value) => Number.isSafeInteger(value) && value >= 0)
  ) {
    throw refused(field);
  }
  const history: Float32Array[] = [];
  for (
    let next = tensors.get(historyName(0));
    next !== undefined;
    next = tensors.get(historyName(history.length))
  ) {
    if (next.dtype !== 'F32') throw refused(field);
    history.push(next.data);
  }
  return {
    request: requestOf(request.data, field),
    weightsSha256,
    index,
    state: { stepsDone, x: x.data, history },
  };
}

function decoded(content: Uint8Array, field: string): ReturnType<typeof decodeSafetensors> {
  try {
    return decodeSafetensors(content);
  } catch (cause) {
    throw refused(field, cause);
  }
}

function requestOf(bytes: Uint8Array, field: string): samplerWire.GenerateRequest {
  try {
    return samplerWire.GenerateRequest.decode(bytes);
  } catch (cause) {
    throw refused(field, cause);
  }
}

function refused(field: string, cause?: unknown): DiffusionError {
  const description = "wanted a token as Generate's resume_token gave it; got other bytes";
  const error = invalidArgument([{ field, description }], 'RESUME_TOKEN_INVALID');
  error.cause = cause;
  return error;
}

function floats(data: Float32Array): TensorData {
  return { dtype: 'F32', shape: [data.length], data };
}

const historyName = (i: number): string => `history.${i}`;

function digestOf(content: Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}
