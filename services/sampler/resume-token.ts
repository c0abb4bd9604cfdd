/** A token with which a call resumes an image that another call began: the solver's state, and what it belongs to. */

import { createHmac, timingSafeEqual } from 'node:crypto';

import { decodeSafetensors, encodeSafetensors, type TensorData } from '../../shared/checkpoint/index.js';
import { integer, invalidArgument, type DiffusionError } from '../../shared/foundation/index.js';
import type { WeightsChoice } from '../../shared/recipe/index.js';
import type { SolverState } from '../../shared/sampler/index.js';

/** What all tokens of a call share. */
export interface Resumable {
  /** Of the request, without its start images, in hexadecimal. */
  readonly requestSha256: string;
  /** What the request's checkpoint and weights turned out to be. */
  readonly checkpointStep: number;
  readonly weights: WeightsChoice;
  /** Of the weights that the image was sampled with so far, in hexadecimal. */
  readonly weightsSha256: string;
}

export interface ResumePoint extends Resumable {
  readonly index: number;
  readonly state: SolverState;
}

/** Values of an image's state, at most: a token has to fit into a message of 4 MiB, whatever the solver remembers. */
export const MAX_RESUMABLE_VALUES = 200_000;

const FORMAT = 'ip-diffusion resume token 3';
const STATE = 'x';
const SIGNATURE_BYTES = 32;
const COUNT = integer(0, Number.MAX_SAFE_INTEGER);

/**
 * HMAC-SHA256 of the rest, then safetensors: x, and what the solver remembers of earlier steps.
 *
 * @param key Of the deployment.
 */
export function writeResumeToken(
  { index, state, weights, checkpointStep, ...hashes }: ResumePoint,
  key: Buffer,
): Buffer {
  const tensors = new Map<string, TensorData>([
    [STATE, floats(state.x)],
    ...state.history.map((values, i) => [historyName(i), floats(values)] as const),
  ]);
  const content = encodeSafetensors(tensors, {
    format: FORMAT,
    ...hashes,
    checkpointStep: String(checkpointStep),
    weights: String(weights),
    index: String(index),
    stepsDone: String(state.stepsDone),
  });
  return Buffer.concat([signatureOf(content, key), content]);
}

/**
 * Reads a token, of which nothing is looked at before its signature.
 *
 * @param field Its field in the request, for the refusal.
 * @param key Of the deployment.
 * @throws DiffusionError INVALID_ARGUMENT (reason RESUME_TOKEN_INVALID) for bytes that aren't a whole token of this deployment.
 */
export function readResumeToken(token: Uint8Array, field: string, key: Buffer): ResumePoint {
  if (token.length < SIGNATURE_BYTES) throw refused(field);
  const content = token.subarray(SIGNATURE_BYTES);
  if (!timingSafeEqual(signatureOf(content, key), token.subarray(0, SIGNATURE_BYTES))) throw refused(field);
  const { tensors, metadata } = decoded(content, field);
  const text = (name: string): string => metadata.get(name) ?? '';
  const count = (name: string): number => {
    const value = COUNT.read(text(name));
    if (value === undefined) throw refused(field);
    return value;
  };
  const x = tensors.get(STATE);
  const weights = text('weights') === 'raw' ? 'raw' : Number(metadata.get('weights'));
  if (text('format') !== FORMAT || x?.dtype !== 'F32' || Number.isNaN(weights)) throw refused(field);
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
    requestSha256: text('requestSha256'),
    checkpointStep: count('checkpointStep'),
    weights,
    weightsSha256: text('weightsSha256'),
    index: count('index'),
    state: { stepsDone: count('stepsDone'), x: x.data, history },
  };
}

function decoded(content: Uint8Array, field: string): ReturnType<typeof decodeSafetensors> {
  try {
    return decodeSafetensors(content);
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

function signatureOf(content: Uint8Array, key: Buffer): Buffer {
  return createHmac('sha256', key).update(content).digest();
}
