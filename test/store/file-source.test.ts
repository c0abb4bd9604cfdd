/** Files of others, in a folder and in a bucket: found, read in parts, and what has become of them meanwhile. */

import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext, type TestFn } from 'ava';

import { DiffusionError, systemClock } from '../../shared/foundation/index.js';
import {
  fileAccess,
  openFiles,
  outageRetry,
  piecesOf,
  type FilesOptions,
  type FileSource,
  type FoundFile,
} from '../../shared/store/index.js';
import { gateBefore } from '../faults/gate.js';
import { GO_MISSING, SERVER_NAME, startMinio } from '../minio-server.js';
import { accessTo, bucketOf } from './buckets.js';

const server = await startMinio();
const realTest = (server === undefined ? test.skip : test) as TestFn;
if (server === undefined) console.warn(GO_MISSING);
test.after.always(() => server?.stop());

/** A place for files, and the source that looks at it. */
interface Place {
  put(path: string, text: string): Promise<void>;
  remove(path: string): Promise<void>;
  open(path?: string, options?: FilesOptions): Promise<FileSource>;
}

/** Versity's gateway decodes a key's escapes twice: it stores this one as another key. */
const DECODES_TWICE = SERVER_NAME === 'versitygw';

let places = 0;

const PLACES: Readonly<Record<string, (t: ExecutionContext) => Promise<Place>>> = {
  'a folder': async (t) => {
    const root = await mkdtemp(join(tmpdir(), 'files-'));
    t.teardown(() => rm(root, { recursive: true, force: true }));
    const folder = join(root, 'place');
    return {
      async put(path, text) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        await writeFile(join(folder, path), text);
      },
      remove: (path) => rm(join(folder, path)),
      open: (path = '', options = {}) => openFiles(join(folder, path), fileAccess({}), options),
    };
  },
  'a bucket': (t) => {
    if (server === undefined) throw new Error(GO_MISSING);
    const bucket = bucketOf(server);
    const prefix = `place-${places++}`;
    return Promise.resolve({
      put: (path, text) => bucket.put(`${prefix}/${path}`, text),
      remove: (path) => bucket.remove(`${prefix}/${path}`),
      async open(path = '', options = {}) {
        const address = bucket.address(path === '' ? prefix : `${prefix}/${path}`);
        const source = await openFiles(address, accessTo(server), options);
        t.teardown(() => source.close());
        return source;
      },
    });
  },
};

const isText = (name: string): boolean => name.endsWith('.txt');

async function textOf(source: FileSource, file: FoundFile): Promise<string> {
  return Buffer.from(await source.read(file, { start: 0, length: file.size })).toString();
}

async function foundIn(source: FileSource): Promise<FoundFile[]> {
  return [...(await source.list(isText)).files];
}

for (const [name, make] of Object.entries(PLACES)) {
  const placeTest = name === 'a bucket' ? realTest : test;

  placeTest(
    `${name}: files at any depth come in the order of their bytes, with what is in them`,
    async (t) => {
      const place = await make(t);
      const names = [
        'b.txt',
        'a/b.txt',
        'a-.txt',
        ...(name === 'a bucket' && DECODES_TWICE ? [] : ['a b+&%2F.txt']),
        'é.txt',
        '\ufb01.txt',
        '😀.txt',
        'deep/er/x.txt',
      ];
      const ordered = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      for (const path of names) await place.put(path, `text of ${path}`);
      for (const path of ['other.png', '.hidden.txt', '.folder/x.txt', 'a/.x/y.txt'])
        await place.put(path, '-');
      const source = await place.open();
      await source.check();
      const files = await foundIn(source);
      t.deepEqual(
        files.map(({ path }) => path),
        ordered,
      );
      for (const file of files) {
        t.is(file.size, Buffer.byteLength(`text of ${file.path}`));
        t.is(await textOf(source, file), `text of ${file.path}`);
      }
    },
  );

  placeTest(`${name}: parts are read as they are asked for, and a whole file in pieces`, async (t) => {
    const place = await make(t);
    const text = 'ten bytes.'.repeat(1_000_000);
    await place.put('x.txt', text);
    await place.put('empty.txt', '');
    const source = await place.open();
    const [empty, whole] = await foundIn(source);
    if (empty === undefined || whole === undefined) return t.fail();
    t.deepEqual(await source.read(empty, { start: 0, length: 0 }), new Uint8Array());
    t.is(Buffer.from(await source.read(whole, { start: 14, length: 6 })).toString(), 'bytes.');
    const pieces: Uint8Array[] = [];
    for await (const piece of piecesOf(source, whole, { start: 0, length: whole.size })) pieces.push(piece);
    t.true(pieces.length > 1);
    t.is(Buffer.compare(Buffer.concat(pieces), Buffer.from(text)), 0);
  });

  placeTest(`${name}: a file that changed, shrank or went after it was found is FILE_CHANGED`, async (t) => {
    const place = await make(t);
    for (const path of ['changed.txt', 'gone.txt', 'shrunk.txt']) await place.put(path, 'as it was');
    const source = await place.open();
    const files = await foundIn(source);
    await place.put('changed.txt', 'as it is!');
    await place.put('shrunk.txt', '-');
    await place.remove('gone.txt');
    for (const file of files) {
      const error = await t.throwsAsync(textOf(source, file), { instanceOf: DiffusionError });
      t.like(error, { code: 'FAILED_PRECONDITION', reason: 'FILE_CHANGED', metadata: { path: file.path } });
    }
  });

  placeTest(`${name}: an address with the ending is one file`, async (t) => {
    const place = await make(t);
    await place.put('one.txt', 'one');
    await place.put('two.txt', 'two');
    const source = await place.open('one.txt', { extension: '.txt' });
    await source.check();
    const files = await foundIn(source);
    t.deepEqual(
      files.map(({ path, size }) => [path, size]),
      [['one.txt', 3]],
    );
    for (const file of files) t.is(await textOf(source, file), 'one');
    const missing = await place.open('three.txt', { extension: '.txt' });
    for (const ask of [missing.check(), missing.list(isText)])
      t.like(await t.throwsAsync(ask), { code: 'NOT_FOUND' });
  });

  placeTest(`${name}: a place without anything is NOT_FOUND`, async (t) => {
    const source = await (await make(t)).open();
    t.like(await t.throwsAsync(source.check()), { code: 'NOT_FOUND' });
  });

  placeTest(`${name}: a call ends with its signal`, async (t) => {
    const place = await make(t);
    await place.put('x.txt', 'x');
    const source = await place.open();
    const [file] = await foundIn(source);
    if (file === undefined) return t.fail();
    const signal = AbortSignal.abort();
    await t.throwsAsync(source.list(isText, { signal }), { code: 'CANCELLED' });
    await t.throwsAsync(source.read(file, { start: 0, length: 1 }, { signal }), { code: 'CANCELLED' });
  });
}

realTest('a missing bucket and wrong keys are distinguished, without a key in the text', async (t) => {
  if (server === undefined) return;
  const wrong = { ...server, secretKey: 'not-the-secret' };
  const cases = [
    [await openFiles('s3://no-such-bucket/x', accessTo(server)), 'STORE_BUCKET_MISSING'],
    [await openFiles(bucketOf(server).address('x'), accessTo(wrong)), 'STORE_ACCESS_DENIED'],
  ] as const;
  for (const [source, reason] of cases) {
    for (const ask of [source.check(), source.list(isText)]) {
      const error = await t.throwsAsync(ask, { instanceOf: DiffusionError });
      t.like(error, { code: 'FAILED_PRECONDITION', reason });
      t.notRegex(`${error.message} ${JSON.stringify(error)}`, /not-the-secret|test-secret/);
    }
  }
});

realTest('a server that goes away between the parts of a file is waited for', async (t) => {
  if (server === undefined) return;
  const bucket = bucketOf(server);
  await bucket.put('outage/x.txt', 'first second');
  const gate = await gateBefore(server.port);
  t.teardown(() => gate.shut());
  const outages: (string | undefined)[] = [];
  const retryOutage = outageRetry({
    ...{ limitMs: 60_000, clock: systemClock, firstDelayMs: 10 },
    onOutage: (error) => {
      outages.push(error?.reason);
      if (error !== undefined) void gate.open();
    },
  });
  const source = await openFiles(bucket.address('outage'), accessTo(server, gate.port), { retryOutage });
  t.teardown(() => source.close());
  const [file] = await foundIn(source);
  if (file === undefined) return t.fail();
  t.is(Buffer.from(await source.read(file, { start: 0, length: 5 })).toString(), 'first');
  await gate.shut();
  t.is(Buffer.from(await source.read(file, { start: 6, length: 6 })).toString(), 'second');
  t.deepEqual(outages, ['STORE_UNAVAILABLE', undefined]);
});

/** A server that answers as the test says. */
async function fakeServer(t: ExecutionContext, answer: RequestListener): Promise<string> {
  const fake = createServer(answer).listen(0, '127.0.0.1');
  await once(fake, 'listening');
  t.teardown(() => {
    fake.close();
    fake.closeAllConnections();
  });
  return `http://127.0.0.1:${(fake.address() as AddressInfo).port}`;
}

const keys = { IP_DIFFUSION_DATASET_S3_ACCESS_KEY: 'a', IP_DIFFUSION_DATASET_S3_SECRET_KEY: 'b' };

test('100,000 objects are found, and the event loop turns with each page of them [fault 61]', async (t) => {
  const [pages, keysAPage] = [100, 1000];
  const endpoint = await fakeServer(t, (request, response) => {
    const token = Number(new URL(request.url ?? '', 'http://x').searchParams.get('continuation-token') || 0);
    const contents = Array.from({ length: keysAPage }, (_, i) => {
      const key = `all/${String(token * keysAPage + i).padStart(6, '0')}.txt`;
      return `<Contents><Key>${key}</Key><Size>1</Size><ETag>"e"</ETag></Contents>`;
    });
    const next = `<NextContinuationToken>${token + 1}</NextContinuationToken>`;
    const more = `<IsTruncated>${token + 1 < pages}</IsTruncated>${token + 1 < pages ? next : ''}`;
    const number = '<Contents><Key>123</Key><Size>1</Size><ETag>"e"</ETag></Contents>';
    response.end(`<ListBucketResult>${more}${number}${contents.join('')}</ListBucketResult>`);
  });
  const source = await openFiles(
    's3://bucket/all',
    fileAccess({ ...keys, IP_DIFFUSION_DATASET_S3_ENDPOINT: endpoint }),
  );
  t.teardown(() => source.close());
  let turns = 0;
  const count = (): void => {
    turns += 1;
    turning = setImmediate(count);
  };
  let turning = setImmediate(count);
  const files = await foundIn(source);
  clearImmediate(turning);
  t.is(files.length, pages * keysAPage);
  t.is(files[12_345]?.path, '012345.txt');
  t.true(turns >= pages, `${turns} turns`);
});

test('a part of another length than the one that was asked for is FILE_UNREADABLE', async (t) => {
  const endpoint = await fakeServer(t, (request, response) => {
    const isListing = request.url?.includes('list-type') === true;
    if (!isListing) response.writeHead(200, { etag: '"e"', 'content-length': 9 }).end('too long!');
    else {
      const contents = '<Contents><Key>x.txt</Key><Size>4</Size><ETag>"e"</ETag></Contents>';
      response.end(`<ListBucketResult><IsTruncated>false</IsTruncated>${contents}</ListBucketResult>`);
    }
  });
  const source = await openFiles(
    's3://bucket',
    fileAccess({ ...keys, IP_DIFFUSION_DATASET_S3_ENDPOINT: endpoint }),
  );
  t.teardown(() => source.close());
  const [file] = await foundIn(source);
  if (file === undefined) return t.fail();
  t.like(await t.throwsAsync(textOf(source, file)), {
    reason: 'FILE_UNREADABLE',
    metadata: { path: 'x.txt' },
  });
});

test('very many objects are listed page by page, in the order of their bytes, whatever the order of the server [fault 61]', async (t) => {
  const [pages, aPage] = [20, 1000];
  let asked = 0;
  const keyAt = (index: number): string =>
    `images/${String((index * 7919) % (pages * aPage)).padStart(6, '0')}.txt`;
  const answering = createServer((request, response) => {
    asked += 1;
    const token = Number(
      new URL(request.url ?? '', 'http://x').searchParams.get('continuation-token') ?? '0',
    );
    const contents = Array.from(
      { length: aPage },
      (_, i) => `<Contents><Key>${keyAt(token * aPage + i)}</Key><Size>1</Size><ETag>"e"</ETag></Contents>`,
    ).join('');
    const more = token + 1 < pages;
    response.end(
      `<ListBucketResult><IsTruncated>${more}</IsTruncated>${contents}${
        more ? `<NextContinuationToken>${token + 1}</NextContinuationToken>` : ''
      }</ListBucketResult>`,
    );
  }).listen(0, '127.0.0.1');
  await once(answering, 'listening');
  t.teardown(() => answering.close());
  const { port } = answering.address() as AddressInfo;
  const access = fileAccess({
    IP_DIFFUSION_S3_ENDPOINT: `http://127.0.0.1:${port}`,
    IP_DIFFUSION_S3_ACCESS_KEY: 'a',
    IP_DIFFUSION_S3_SECRET_KEY: 'b',
  });
  const source = await openFiles('s3://bucket/images', access);
  t.teardown(() => source.close());
  const { files } = await source.list(isText);
  t.is(asked, pages);
  t.is(files.length, pages * aPage);
  t.true(files.every(({ path }, i) => path === `${String(i).padStart(6, '0')}.txt`));
});
