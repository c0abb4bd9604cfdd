/** A real MinIO server behind the client, and what the client makes of servers that misbehave. */

import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createServer as createHttpsServer } from 'node:https';
import { createServer } from 'node:net';
import type { AddressInfo, Server as NetServer } from 'node:net';
import test from 'ava';
import { Client } from 'minio';
import type { TestFn } from 'ava';
import { DiffusionError } from '../../shared/foundation/index.js';
import { checkStore } from '../../shared/store/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { openMinioStore, type MinioStoreSettings } from '../../shared/store/minio-store.js';
import { GO_MISSING, startMinio } from '../minio-server.js';
import { temporaryFolder } from '../dataset/folders.js';
import { authority, type Pair } from '../rpc/certificates.js';
import { commitContract } from '../models/commits.contract.js';
import { retentionContract } from '../models/retention.contract.js';
import { storeContract } from './store.contract.js';

const server = await startMinio();
const realTest = (server === undefined ? test.skip : test) as TestFn;
if (server === undefined) console.warn(GO_MISSING);

const secretKey = server?.secretKey ?? 'some-secret';
let opened = 0;

/** Settings for the real server; each call has a prefix of its own, so that every test finds an empty store. */
function settings(change: Partial<MinioStoreSettings> = {}): MinioStoreSettings {
  opened += 1;
  const retry = { attempts: 3, baseDelayMs: 1 };
  const place = { endpoint: '127.0.0.1', port: server?.port ?? 9, useTLS: false, region: 'us-east-1', retry };
  const bucket = server?.bucket ?? 'bucket';
  return { ...place, bucket, prefix: `test-${opened}/`, accessKey: 'test-access', secretKey, ...change };
}

const open = (change: Partial<MinioStoreSettings> = {}): Promise<ObjectStore> =>
  Promise.resolve(openMinioStore(settings(change)));

test.after.always(() => server?.stop());

storeContract(realTest, open);
commitContract(realTest, open);
retentionContract(realTest, open);

realTest('a listing continues after the first page', async (t) => {
  const store = await open();
  const keys = Array.from({ length: 1001 }, (_, i) => `k/${String(i).padStart(4, '0')}`);
  for (let start = 0; start < keys.length; start += 50) {
    await Promise.all(keys.slice(start, start + 50).map((key) => store.put(key, Buffer.from('x'))));
  }
  const listed: string[] = [];
  for await (const key of store.list('k/')) listed.push(key);
  t.deepEqual(listed, keys);
  await store.remove(keys);
  for await (const key of store.list('k/')) t.fail(key);
});

realTest(
  'uploads in parts that a dead writer left are removed, under our prefix alone [fault 74]',
  async (t) => {
    const ours = settings();
    const { endpoint: endPoint, port, accessKey } = ours;
    const client = new Client({ endPoint, port, useSSL: false, accessKey, secretKey });
    const theirs = settings();
    for (const { bucket, prefix = '' } of [ours, theirs])
      await client.initiateNewMultipartUpload(bucket, `${prefix}a`, {});
    const uploads = async (): Promise<string[]> =>
      (await client.listIncompleteUploadsQuery(ours.bucket, '', '', '', '')).uploads
        .map(({ key }) => key)
        .filter((key) => [ours.prefix, theirs.prefix].includes(`${key.split('/')[0] ?? ''}/`));
    t.is((await uploads()).length, 2);
    const store = openMinioStore(ours);
    t.is(await store.tidy(), 0, 'a writer may still be at work on it');
    t.is(await openMinioStore({ ...ours, staleUploadMs: -60_000 }).tidy(), 1);
    t.deepEqual(await uploads(), [`${theirs.prefix ?? ''}a`]);
  },
);

realTest('an object larger than a part goes up in parts and comes back whole', async (t) => {
  const store = await open({ partSize: 5 * 1024 * 1024 });
  const bytes = new Uint8Array(11 * 1024 * 1024).map((_, i) => i % 251);
  const { etag } = await store.put('big', bytes);
  t.regex(etag, /-\d+$/);
  t.true(Buffer.compare((await store.get('big')).bytes, bytes) === 0);
});

realTest(
  'a wrong secret, a wrong access key and a missing bucket are distinguished from each other [fault 81]',
  async (t) => {
    const wrong: [Partial<MinioStoreSettings>, string][] = [
      [{ secretKey: 'not-the-secret' }, 'STORE_ACCESS_DENIED'],
      [{ accessKey: 'nobody' }, 'STORE_ACCESS_DENIED'],
      [{ bucket: 'no-such-bucket' }, 'STORE_BUCKET_MISSING'],
    ];
    for (const [change, reason] of wrong) {
      for (const access of ['read', 'write'] as const) {
        const error = await t.throwsAsync(checkStore(await open(change), access), {
          instanceOf: DiffusionError,
        });
        t.like(error, { code: 'FAILED_PRECONDITION', reason });
        t.notRegex(
          `${error.message} ${JSON.stringify(error)}`,
          /secret-key|not-the-secret|nobody|test-access/,
        );
      }
    }
  },
);

/** A server of one test, closed with its connections when the test ends. */
async function listening(t: { teardown(end: () => void): void }, fake: NetServer | Server): Promise<number> {
  const sockets = new Set<{ destroy(): void }>();
  fake.on('connection', (socket: { destroy(): void }) => sockets.add(socket));
  fake.listen(0, '127.0.0.1');
  await once(fake, 'listening');
  t.teardown(() => {
    fake.close();
    for (const socket of sockets) socket.destroy();
  });
  return (fake.address() as AddressInfo).port;
}

test('a server that is not there is UNAVAILABLE with a time to wait [fault 76]', async (t) => {
  const gone = createServer().listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address() as AddressInfo;
  gone.close();
  await once(gone, 'close');
  const error = await t.throwsAsync((await open({ port })).get('a'), { instanceOf: DiffusionError });
  t.like(error, { code: 'UNAVAILABLE', reason: 'STORE_UNAVAILABLE', retryAfterMs: 2000 });
  t.regex(error.message, /ECONNREFUSED/);
});

test('a server that accepts and sends nothing is UNAVAILABLE after the timeout [fault 78]', async (t) => {
  let connections = 0;
  const port = await listening(
    t,
    createServer(() => connections++),
  );
  // Long enough that a busy process sees each connection before the client gives it up.
  const store = await open({ port, requestTimeoutMs: 500 });
  await t.throwsAsync(store.put('a', Buffer.from('x')), { code: 'UNAVAILABLE', message: /ETIMEDOUT/ });
  t.is(connections, 3);
});

test('a server that stops in the middle of a body is UNAVAILABLE after the timeout [fault 79]', async (t) => {
  const port = await listening(
    t,
    createHttpServer((_request, response) => {
      response.writeHead(200, { 'content-length': '100', etag: '"e"' }).write('only this');
    }),
  );
  const store = await open({ port, requestTimeoutMs: 20 });
  await t.throwsAsync(store.get('a'), { code: 'UNAVAILABLE' });
});

test('a call to a server that sends nothing ends when its signal does [fault 78]', async (t) => {
  const port = await listening(t, createServer());
  const store = await open({ port });
  await t.throwsAsync(store.get('a', { signal: AbortSignal.timeout(20) }), { code: 'DEADLINE_EXCEEDED' });
});

/** A fake server that gives each request the next answer; after the last one it repeats it. */
function answering(answers: readonly RequestListener[]): Server {
  let next = 0;
  return createHttpServer((request, response) => {
    request.resume();
    request.on('end', () => {
      answers[Math.min(next++, answers.length - 1)]?.(request, response);
    });
  });
}

const cut: RequestListener = (_request, response) => response.destroy();
const body =
  (content: string): RequestListener =>
  (_request, response) =>
    response.writeHead(200, { etag: '"e"', 'content-length': content.length }).end(content);
const fault =
  (status: number, code: string): RequestListener =>
  (_request, response) =>
    response.writeHead(status).end(`<Error><Code>${code}</Code><Message>m</Message></Error>`);

test('a body cut short is fetched anew [fault 79]', async (t) => {
  const half: RequestListener = (_request, response) => {
    response.writeHead(200, { etag: '"e"', 'content-length': 5 }).write('wh', () => response.destroy());
  };
  const store = await open({ port: await listening(t, answering([half, body('whole')])) });
  t.is(Buffer.from((await store.get('a')).bytes).toString(), 'whole');
});

test('a create-only put whose answer was lost is known as its own on the second try', async (t) => {
  const answers = [cut, fault(412, 'PreconditionFailed'), body('mine')];
  const mine = await open({ port: await listening(t, answering(answers)) });
  t.deepEqual(await mine.put('a', Buffer.from('mine'), { ifNoneMatch: true }), { etag: 'e' });
  const theirs = await open({ port: await listening(t, answering(answers)) });
  await t.throwsAsync(theirs.put('a', Buffer.from('else'), { ifNoneMatch: true }), { code: 'ABORTED' });
});

test('a refusal on the first try is not taken for its own, whatever stands there', async (t) => {
  const answers = [fault(412, 'PreconditionFailed'), body('mine')];
  const store = await open({ port: await listening(t, answering(answers)) });
  await t.throwsAsync(store.put('a', Buffer.from('mine'), { ifNoneMatch: true }), { code: 'ABORTED' });
});

for (const [status, code, expected, reason] of [
  [507, 'XMinioStorageFull', 'RESOURCE_EXHAUSTED', 'STORE_FULL'],
  [403, 'RequestTimeTooSkewed', 'FAILED_PRECONDITION', 'STORE_CLOCK_SKEW'],
  [403, 'AccessDenied', 'FAILED_PRECONDITION', 'STORE_ACCESS_DENIED'],
  [400, 'InvalidArgument', 'FAILED_PRECONDITION', 'STORE_REFUSED'],
  [503, 'SlowDown', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
  [500, 'InternalError', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
] as const) {
  test(`the server's ${code} becomes ${expected}`, async (t) => {
    const store = await open({ port: await listening(t, answering([fault(status, code)])) });
    const error = await t.throwsAsync(store.put('a', Buffer.from('x')));
    t.like(error, { code: expected, reason });
  });
}

test('a key that is only digits, made by another program, comes as a text', async (t) => {
  const listing = `<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>123</Key></Contents></ListBucketResult>`;
  const store = await open({ port: await listening(t, answering([body(listing)])), prefix: '' });
  for await (const key of store.list('')) t.is(key, '123');
  t.plan(1);
});

test('a failed removal inside a successful answer is an error', async (t) => {
  const answer = '<DeleteResult><Error><Key>a</Key><Code>AccessDenied</Code></Error></DeleteResult>';
  const store = await open({ port: await listening(t, answering([body(answer)])) });
  await t.throwsAsync(store.remove(['a']), {
    code: 'FAILED_PRECONDITION',
    message: /refuses these credentials/,
  });
});

test('a server without TLS behind an https address is UNAVAILABLE, without a fall-back to plain text [fault 90]', async (t) => {
  let plain = 0;
  const port = await listening(
    t,
    createHttpServer(() => plain++),
  );
  const store = await open({ port, useTLS: true });
  await t.throwsAsync(store.get('a'), { code: 'UNAVAILABLE', message: /no trusted TLS connection/ });
  t.is(plain, 0);
});

test('a server whose certificate is expired, of another name or of another authority is UNAVAILABLE [fault 90]', async (t) => {
  const trusted = await authority();
  const folder = await temporaryFolder(t);
  const caFile = join(folder, 'ca.pem');
  await writeFile(caFile, trusted.cert);
  let asked = 0;
  const serve = ({ cert, key }: Pair) =>
    listening(
      t,
      createHttpsServer({ cert, key }, (_request, response) => {
        asked += 1;
        response.writeHead(404).end();
      }),
    );
  for (const pair of [
    await trusted.issue('127.0.0.1', { expired: true }),
    await trusted.issue('elsewhere', { names: [{ type: 'dns', value: 'elsewhere.example' }] }),
    await (await authority('a stranger')).issue('127.0.0.1'),
  ]) {
    const store = await open({ port: await serve(pair), useTLS: true, caFile });
    await t.throwsAsync(store.get('a'), { code: 'UNAVAILABLE', message: /no trusted TLS connection/ });
  }
  t.is(asked, 0);
  const good = await open({ port: await serve(await trusted.issue('127.0.0.1')), useTLS: true, caFile });
  await t.throwsAsync(good.get('a'), { code: 'NOT_FOUND' });
});

test('a missing CA file is refused with a clear message', (t) => {
  t.throws(() => openMinioStore(settings({ useTLS: true, caFile: '/no/such/ca.pem' })), {
    code: 'FAILED_PRECONDITION',
    message: /CA file.*no such file/,
  });
});

test('a server that ignores conditions fails the probe', async (t) => {
  const ok: RequestListener = (_request, response) => response.writeHead(200, { etag: '"e"' }).end();
  const gone = body('<DeleteResult></DeleteResult>');
  const store = await open({ port: await listening(t, answering([ok, ok, body('probe'), gone])) });
  await t.throwsAsync(checkStore(store, 'write'), {
    code: 'FAILED_PRECONDITION',
    message: /ignores the header If-None-Match; use a server/,
  });
});
