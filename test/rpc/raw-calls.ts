/** Calls that no client of gRPC makes, sent by hand over HTTP/2. */

import {
  connect,
  type ClientHttp2Session,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';

import { connectTrainer, callUnary } from '../../shared/rpc/index.js';
import { JOB } from '../cli/fake-service.js';

export const GET = '/diffusion.trainer.v1.TrainerService/GetTrainingJob';

/** A message as gRPC frames it. @param length What its prefix says. */
export function framed(message: Uint8Array, { length = message.length, compressed = false } = {}): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(compressed ? 1 : 0, 0);
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

export interface RawAnswer {
  /** Of HTTP; undefined where the stream ended without headers. */
  readonly http: number | undefined;
  /** Of gRPC; undefined where none came. */
  readonly grpc: number | undefined;
  readonly bytes: Buffer;
}

/** One call of a unary method. What comes is read to its end. */
export async function rawCall(
  session: ClientHttp2Session,
  body: Uint8Array,
  headers: OutgoingHttpHeaders = {},
): Promise<RawAnswer> {
  const stream = session.request({
    ':method': 'POST',
    ':path': GET,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  let got: IncomingHttpHeaders = {};
  for (const event of ['response', 'trailers'])
    stream.on(event, (more: IncomingHttpHeaders) => {
      got = { ...got, ...more };
    });
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.end(body);
  await closed;
  const numberOf = (name: string): number | undefined =>
    got[name] === undefined ? undefined : Number(got[name]);
  return { http: numberOf(':status'), grpc: numberOf('grpc-status'), bytes: Buffer.concat(chunks) };
}

/** A connection by hand to `host:port`. */
export function rawSession(address: string): ClientHttp2Session {
  return connect(`http://${address}`).on('error', () => undefined);
}

/** Makes an ordinary call on a connection of its own. @throws DiffusionError where the service does not answer it. */
export async function ordinaryCall(address: string): Promise<void> {
  const client = connectTrainer(address);
  try {
    const { job } = await callUnary(
      client,
      client.getTrainingJob,
      { jobId: JOB.jobId },
      { timeoutMs: 30_000 },
    );
    if (job?.jobId !== JOB.jobId) throw new Error('the answer is of another job');
  } finally {
    client.close();
  }
}
