/** Calls that break the rules of protobuf, of gRPC and of HTTP/2: each costs itself, or its connection. */

import { once } from 'node:events';
import { connect as connectPlain } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';

import { status } from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';

import { trainerWire } from '../../shared/contract/index.js';
import { JOB } from '../cli/fake-service.js';
import { fakeTrainer } from '../cli/fake-trainer.js';
import { framed, ordinaryCall, rawCall, rawSession } from './raw-calls.js';

const { INTERNAL, INVALID_ARGUMENT, NOT_FOUND, OK, PERMISSION_DENIED, RESOURCE_EXHAUSTED, UNIMPLEMENTED } =
  status;
const MIB = 1024 * 1024;

const good = Buffer.from(trainerWire.GetTrainingJobRequest.encode({ jobId: JOB.jobId }).finish());
/** Field 1 of the request, text, with these bytes. */
const text = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0x0a, bytes.length]), bytes]);

async function serve(t: ExecutionContext) {
  const { address } = await fakeTrainer(t);
  const session = rawSession(address);
  t.teardown(() => {
    session.destroy();
  });
  return { address, session };
}

/** Each body costs its call at most, and ends it with one of the codes. */
async function refuses(
  t: ExecutionContext,
  bodies: Readonly<Record<string, Uint8Array>>,
  codes: readonly (number | undefined)[],
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { address, session } = await serve(t);
  for (const [name, body] of Object.entries(bodies)) {
    const { grpc } = await rawCall(session, body, headers);
    t.true(codes.includes(grpc), `${name}: ${grpc ?? 'no status'}`);
  }
  await t.notThrowsAsync(ordinaryCall(address));
}

test('a message that is cut off fails [fault 1]', (t) =>
  refuses(
    t,
    {
      'in a number': framed(Buffer.from([0x08, 0x80, 0x80])),
      'in a tag': framed(Buffer.from([0xff])),
      'in a text': framed(Buffer.from([0x0a, 200, 1, 2, 3])),
      'a number of 11 bytes': framed(Buffer.concat([Buffer.from([0x08]), Buffer.alloc(11, 0xff)])),
    },
    [INTERNAL, INVALID_ARGUMENT],
  ));

test('groups that are nested very deep overflow no stack [fault 2]', (t) =>
  refuses(
    t,
    {
      'ten thousand': framed(Buffer.alloc(10_000, 0x1b)),
      'as many as fit': framed(Buffer.alloc(900_000, 0x1b)),
    },
    [INTERNAL, INVALID_ARGUMENT],
  ));

test('wrong wire types, field 0 and text that is not UTF-8 have a checked value or an error [fault 3]', (t) =>
  refuses(
    t,
    {
      'a number where text is': framed(Buffer.from([0x08, 5])),
      'wire type 7': framed(Buffer.from([0x0f, 1])),
      'field 0': framed(Buffer.from([0x00, 1])),
      'not UTF-8': framed(text(Buffer.from([0xff, 0xfe, 0x80]))),
    },
    [INTERNAL, INVALID_ARGUMENT, NOT_FOUND],
  ));

test('fields that this build does not know are ignored [fault 4]', async (t) => {
  const { session } = await serve(t);
  const unknown = Buffer.from([0xfa, 0x3e, 3, 1, 2, 3]);
  const { grpc, bytes } = await rawCall(session, framed(Buffer.concat([unknown, good, unknown])));
  t.is(grpc, OK);
  t.is(trainerWire.GetTrainingJobResponse.decode(bytes.subarray(5)).job?.jobId, JOB.jobId);
});

test.serial(
  'a message that says that it has 4 GiB, and one above the limit, take no memory [fault 6]',
  async (t) => {
    const before = process.memoryUsage().external;
    await refuses(
      t,
      {
        '4 GiB': framed(good, { length: 2 ** 32 - 1 }),
        '2 MiB': framed(Buffer.alloc(2 * MIB)),
      },
      [RESOURCE_EXHAUSTED],
    );
    t.true(process.memoryUsage().external - before < 64 * MIB);
  },
);

test.serial('a message that unpacks to 512 MiB is refused at the limit [fault 7]', async (t) => {
  const bomb = packedZeros(512);
  t.true(bomb.length < MIB);
  const before = process.memoryUsage.rss();
  await refuses(t, { bomb: framed(bomb, { compressed: true }) }, [RESOURCE_EXHAUSTED], {
    'grpc-encoding': 'gzip',
  });
  t.true(process.memoryUsage.rss() - before < 200 * MIB);
});

/** Gzip allows several packed pieces one after another: no buffer of the whole size is needed to make it. */
function packedZeros(mebibytes: number): Buffer {
  const piece = gzipSync(Buffer.alloc(16 * MIB));
  return Buffer.concat(new Array<Buffer>(mebibytes / 16).fill(piece));
}

/** The last eight bytes are the sum and the length. */
function withoutSum(packed: Buffer): Buffer {
  return packed.fill(0, packed.length - 8);
}

test('damaged packed bytes cost one call [fault 8]', (t) =>
  refuses(
    t,
    {
      'no gzip': framed(Buffer.from('no gzip at all'), { compressed: true }),
      half: framed(gzipSync(good).subarray(0, 12), { compressed: true }),
      'a wrong sum': framed(withoutSum(gzipSync(good)), { compressed: true }),
      nothing: framed(Buffer.alloc(0), { compressed: true }),
    },
    // Not seen as damage by each version of zlib: an end that is missing leaves no message.
    [INTERNAL, INVALID_ARGUMENT, UNIMPLEMENTED],
    { 'grpc-encoding': 'gzip' },
  ));

test('a compression that is not supported is UNIMPLEMENTED [fault 9]', (t) =>
  refuses(t, { br: framed(good, { compressed: true }) }, [UNIMPLEMENTED], { 'grpc-encoding': 'br' }));

test('a message that is marked as compressed, without a compression, costs one call [fault 10]', (t) =>
  refuses(t, { marked: framed(gzipSync(good), { compressed: true }) }, [
    INTERNAL,
    INVALID_ARGUMENT,
    UNIMPLEMENTED,
  ]));

test('no message, two messages and half a message cost one call [fault 11]', (t) =>
  refuses(
    t,
    {
      none: Buffer.alloc(0),
      two: Buffer.concat([framed(good), framed(good)]),
      half: framed(good).subarray(0, -2),
      'half a prefix': Buffer.alloc(3),
    },
    [INTERNAL, INVALID_ARGUMENT, UNIMPLEMENTED],
  ));

test('unknown methods and paths are UNIMPLEMENTED [fault 12]', async (t) => {
  const { address, session } = await serve(t);
  for (const path of [
    '/diffusion.trainer.v1.TrainerService/Nothing',
    '/../../etc/passwd',
    '/',
    '/\u00ff%00',
  ]) {
    const { grpc } = await rawCall(session, framed(good), { ':path': path });
    t.true(grpc === UNIMPLEMENTED || grpc === PERMISSION_DENIED, `${path}: ${grpc ?? 'no status'}`);
  }
  await t.notThrowsAsync(ordinaryCall(address));
});

test('what is not gRPC by its content type gets an answer of HTTP [fault 13]', async (t) => {
  const { address, session } = await serve(t);
  t.like(await rawCall(session, framed(good), { 'content-type': 'text/html' }), {
    http: 415,
    grpc: undefined,
  });
  await t.notThrowsAsync(ordinaryCall(address));
});

test('large and damaged headers cost one call at most [fault 15]', async (t) => {
  const { address } = await serve(t);
  for (const headers of [
    { 'x-large': 'x'.repeat(60_000) },
    { 'x-larger': 'x'.repeat(200_000) },
    { 'x-data-bin': '*** no base64 ***' },
    Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`x-${n}`, 'value'])),
  ]) {
    const session = rawSession(address);
    const { grpc } = await rawCall(session, framed(good), headers).catch(() => ({ grpc: undefined }));
    const answers: readonly (number | undefined)[] = [OK, INTERNAL, RESOURCE_EXHAUSTED, undefined];
    t.true(answers.includes(grpc), `${grpc ?? 'no status'}`);
    session.destroy();
    await t.notThrowsAsync(ordinaryCall(address));
  }
});

test('a client that opens and resets 5,000 streams costs nobody else anything [fault 16]', async (t) => {
  const { address, session } = await serve(t);
  for (let opened = 0; opened < 5000 && !session.destroyed && !session.closed; opened++) {
    const stream = session.request({ ':method': 'POST', ':path': '/x' }).on('error', () => undefined);
    stream.close();
    if (opened % 500 === 0) {
      await setTimeout(1);
      await t.notThrowsAsync(ordinaryCall(address));
    }
  }
  await t.notThrowsAsync(ordinaryCall(address));
});

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
const PING = Buffer.concat([Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0]), Buffer.alloc(8)]);

for (const [what, frame] of [
  ['settings', SETTINGS],
  ['pings', PING],
] as const)
  test(`a flood of ${what} and connections that say nothing leave others served [fault 17]`, async (t) => {
    const { address } = await serve(t);
    const port = Number(address.split(':')[1]);
    const sockets = Array.from({ length: 200 }, () =>
      connectPlain(port, '127.0.0.1').on('error', () => undefined),
    );
    const [flood, ...idle] = sockets;
    if (flood === undefined) throw new Error('no socket');
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    // Its answers are never read.
    flood.write(Buffer.concat([PREFACE, SETTINGS, ...new Array<Buffer>(50_000).fill(frame)]));
    await t.notThrowsAsync(ordinaryCall(address));
    for (const socket of [flood, ...idle]) socket.destroy();
    await t.notThrowsAsync(ordinaryCall(address));
  });
