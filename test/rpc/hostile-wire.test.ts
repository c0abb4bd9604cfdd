/** What is no call costs one connection: other protocols, random bytes, and connections that never say anything. */

import { once } from 'node:events';
import { connect } from 'node:net';

import test from 'ava';
import fc from 'fast-check';

import { callUnary, connectTrainer } from '../../shared/rpc/index.js';
import { JOB } from '../cli/fake-service.js';
import { fakeTrainer } from '../cli/fake-trainer.js';

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
/** A frame of HTTP/2: length, type, flags, stream. */
const frame = (
  type: number,
  flags: number,
  stream: number,
  payload: Buffer,
  length = payload.length,
): Buffer => {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head.set([type, flags], 3);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
};
const SETTINGS = frame(4, 0, 0, Buffer.alloc(0));

const WIRE: Readonly<Record<string, Buffer>> = {
  'HTTP/1.1': Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
  'a TLS hello': Buffer.from('160301020001000001fc0303', 'hex'),
  'half a preface': PREFACE.subarray(0, 10),
  'a frame before the settings': Buffer.concat([PREFACE, frame(0, 0, 1, Buffer.from('x'))]),
  'a frame that is too long': Buffer.concat([PREFACE, SETTINGS, frame(0, 0, 1, Buffer.alloc(20_000))]),
  'headers that are no headers': Buffer.concat([PREFACE, SETTINGS, frame(1, 5, 1, Buffer.alloc(50, 0xff))]),
  'a window of zero': Buffer.concat([PREFACE, SETTINGS, frame(8, 0, 0, Buffer.alloc(4))]),
  'settings with a part of an entry': Buffer.concat([PREFACE, frame(4, 0, 0, Buffer.alloc(5))]),
  'an unknown type': Buffer.concat([PREFACE, SETTINGS, frame(77, 0, 0, Buffer.alloc(8))]),
  'a stream that was never opened': Buffer.concat([PREFACE, SETTINGS, frame(3, 0, 99, Buffer.alloc(4))]),
};

async function send(port: number, bytes: Uint8Array): Promise<void> {
  const socket = connect(port, '127.0.0.1').on('error', () => undefined);
  socket.write(bytes);
  // A server may wait for more of what began well.
  const leave = setTimeout(() => socket.destroy(), 50);
  await once(socket.resume(), 'close');
  clearTimeout(leave);
}

test('a server that gets other protocols, broken frames and random bytes answers the next call [fault 18]', async (t) => {
  const { address } = await fakeTrainer(t);
  const port = Number(address.split(':')[1]);
  const client = connectTrainer(address);
  const silent = connect(port, '127.0.0.1').on('error', () => undefined);
  const isAlive = async (): Promise<void> => {
    const { job } = await callUnary(
      client,
      client.getTrainingJob,
      { jobId: JOB.jobId },
      { timeoutMs: 30_000 },
    );
    t.is(job?.jobId, JOB.jobId);
  };
  for (const [name, bytes] of Object.entries(WIRE)) {
    await send(port, bytes);
    await t.notThrowsAsync(isAlive(), name);
  }
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.uint8Array({ maxLength: 300 }), async (isHttp2, bytes) => {
      await send(port, isHttp2 ? Buffer.concat([PREFACE, SETTINGS, bytes]) : bytes);
    }),
    { numRuns: 60 },
  );
  await isAlive();
  silent.destroy();
  client.close();
});
