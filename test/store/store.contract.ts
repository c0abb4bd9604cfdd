/** What every store must do; run over each implementation. */

import type { TestFn } from 'ava';

import { pause } from '../../shared/foundation/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { checkStore } from '../../shared/store/index.js';

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
const of = (content: string): Uint8Array => Buffer.from(content);

async function keysOf(keys: AsyncIterable<string>): Promise<string[]> {
  const all: string[] = [];
  for await (const key of keys) all.push(key);
  return all;
}

/** Declares the tests; `open` gives each test a store of its own, empty. */
export function storeContract(test: TestFn, open: () => Promise<ObjectStore>): void {
  test('what is put comes back, with the etag that put gave', async (t) => {
    const store = await open();
    const { etag } = await store.put('a/b.json', of('one'));
    const got = await store.get('a/b.json');
    t.is(text(got.bytes), 'one');
    t.is(got.etag, etag);
    t.deepEqual(await store.head('a/b.json'), { size: 3 });
  });

  test('an empty object is an object', async (t) => {
    const store = await open();
    await store.put('empty', new Uint8Array(0));
    t.is((await store.get('empty')).bytes.length, 0);
  });

  test('bytes come back in memory of their own, from its start', async (t) => {
    const store = await open();
    await store.put('a', new Uint8Array(24).subarray(3, 11));
    const { bytes } = await store.get('a');
    t.is(bytes.byteOffset, 0);
    t.is(bytes.buffer.byteLength, 8);
  });

  test('a plain put replaces', async (t) => {
    const store = await open();
    await store.put('a', of('one'));
    await store.put('a', of('two'));
    t.is(text((await store.get('a')).bytes), 'two');
  });

  test('what was never put is NOT_FOUND', async (t) => {
    const store = await open();
    await store.put('a/b', of('x'));
    for (const key of ['b', 'a/c', 'a']) {
      await t.throwsAsync(store.get(key), { code: 'NOT_FOUND' });
      await t.throwsAsync(store.head(key), { code: 'NOT_FOUND' });
    }
  });

  test('a listing may begin behind a key, which need not be there', async (t) => {
    const store = await open();
    for (const key of ['a/1', 'a/2/x', 'a/2/y', 'a/3', 'b']) await store.put(key, of('x'));
    t.deepEqual(await keysOf(store.list('a/', { after: 'a/2/x' })), ['a/2/y', 'a/3']);
    t.deepEqual(await keysOf(store.list('', { after: 'a/2/z' })), ['a/3', 'b']);
    t.deepEqual(await keysOf(store.list('a/', { after: 'b' })), []);
  });

  test('an object larger than maxBytes is refused [fault A27]', async (t) => {
    const store = await open();
    await store.put('a', of('four'));
    await t.throwsAsync(store.get('a', { maxBytes: 3 }), {
      code: 'DATA_LOSS',
      message: /at most 3 bytes; got 4/,
    });
    t.is((await store.get('a', { maxBytes: 4 })).bytes.length, 4);
  });

  test('ifNoneMatch writes once and loses afterwards', async (t) => {
    const store = await open();
    await store.put('a', of('first'), { ifNoneMatch: true });
    const second = store.put('a', of('second'), { ifNoneMatch: true });
    await t.throwsAsync(second, { code: 'ABORTED', message: /another writer/ });
    t.is(text((await store.get('a')).bytes), 'first');
  });

  test('of eight writers that race to create a key exactly one wins, and its bytes are stored', async (t) => {
    const store = await open();
    const writers = Array.from({ length: 8 }, (_, writer) => `writer ${writer}`);
    const ends = await Promise.allSettled(
      writers.map((name) => store.put('race', of(name), { ifNoneMatch: true })),
    );
    const winners = writers.filter((_, writer) => ends[writer]?.status === 'fulfilled');
    t.deepEqual(winners, [text((await store.get('race')).bytes)]);
  });

  test('ifMatch replaces what stands and loses to what came between', async (t) => {
    const store = await open();
    const { etag: first } = await store.put('a', of('1'), { ifNoneMatch: true });
    const { etag: second } = await store.put('a', of('2'), { ifMatch: first });
    await t.throwsAsync(store.put('a', of('3'), { ifMatch: first }), { code: 'ABORTED' });
    t.deepEqual(await store.get('a'), { bytes: new Uint8Array(of('2')), etag: second });
  });

  test('a put with ifMatch never brings back what is removed at the same time', async (t) => {
    const store = await open();
    for (let round = 0; round < 40; round++) {
      const { etag } = await store.put('a', of('1'));
      const replaced = store.put('a', of('2'), { ifMatch: etag });
      await pause(round % 8);
      await Promise.allSettled([replaced, store.remove(['a'])]);
      await t.throwsAsync(store.head('a'), { code: 'NOT_FOUND' }, `round ${String(round)}`);
    }
  });

  test('ifMatch on a missing key loses', async (t) => {
    const store = await open();
    await t.throwsAsync(store.put('a', of('1'), { ifMatch: 'abc' }), { code: 'ABORTED' });
    await t.throwsAsync(store.get('a'), { code: 'NOT_FOUND' });
  });

  test('a counter raised by racing compare-and-swap loses no count', async (t) => {
    const store = await open();
    await store.put('counter', of('0'), { ifNoneMatch: true });
    // Its writer's name beside the count: two writers' bytes must differ, or one takes the other's for its own.
    const raise = async (writer: string): Promise<void> => {
      for (;;) {
        const { bytes, etag } = await store.get('counter');
        try {
          await store.put('counter', of(`${Number.parseInt(text(bytes), 10) + 1} ${writer}`), {
            ifMatch: etag,
          });
          return;
        } catch (error) {
          t.like(error, { reason: 'PRECONDITION_FAILED' });
        }
      }
    };
    await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map(raise));
    t.is(Number.parseInt(text((await store.get('counter')).bytes), 10), 6);
  });

  test('keys are listed under their prefix, in the order of their bytes', async (t) => {
    const store = await open();
    const keys = ['a-b', 'a.json', 'a/b', 'a/c-d', 'a/c/e', 'a/c.f', 'a0', 'a_', 'b/a'];
    for (const key of [...keys].reverse()) await store.put(key, of('x'));
    t.deepEqual(await keysOf(store.list('')), [...keys].sort());
    t.deepEqual(await keysOf(store.list('a/')), ['a/b', 'a/c-d', 'a/c.f', 'a/c/e']);
    t.deepEqual(await keysOf(store.list('nothing/here/')), []);
  });

  test('a removed key is gone, and removing it again is no error', async (t) => {
    const store = await open();
    await store.put('a/b/c', of('x'));
    await store.put('a/d', of('y'));
    await store.remove(['a/b/c', 'a/b/never']);
    await store.remove(['a/b/c']);
    await store.remove([]);
    t.deepEqual(await keysOf(store.list('')), ['a/d']);
    await store.put('a/b/c', of('again'));
    t.is(text((await store.get('a/b/c')).bytes), 'again');
  });

  for (const key of [
    '',
    '/',
    'a//b',
    '/a',
    'a/',
    '../a',
    'a/../b',
    '.hidden',
    'A',
    'a b',
    'a\0',
    'a\\b',
    'ä',
    'k'.repeat(1025),
  ]) {
    test(`the key ${JSON.stringify(key.slice(0, 20))} is refused by every method`, async (t) => {
      const store = await open();
      const refused = { code: 'INVALID_ARGUMENT', message: /^key: wanted/ };
      await t.throwsAsync(store.put(key, of('x')), refused);
      await t.throwsAsync(store.get(key), refused);
      await t.throwsAsync(store.head(key), refused);
      await t.throwsAsync(store.remove([key]), refused);
    });
  }

  test('a prefix that ends within a segment is refused', async (t) => {
    const store = await open();
    await t.throwsAsync(keysOf(store.list('a')), { code: 'INVALID_ARGUMENT', message: /^prefix: wanted/ });
  });

  test('an aborted signal is CANCELLED, a passed timeout DEADLINE_EXCEEDED', async (t) => {
    const store = await open();
    const cancelled = { signal: AbortSignal.abort() };
    await t.throwsAsync(store.put('a', of('x'), cancelled), { code: 'CANCELLED' });
    await t.throwsAsync(keysOf(store.list('', cancelled)), { code: 'CANCELLED' });
    const late = { signal: AbortSignal.abort(new DOMException('late', 'TimeoutError')) };
    await t.throwsAsync(store.get('a', late), { code: 'DEADLINE_EXCEEDED' });
  });

  test('the probe passes and keeps no object', async (t) => {
    const store = await open();
    await checkStore(store, 'write');
    await checkStore(store, 'read');
    t.deepEqual(await keysOf(store.list('')), []);
  });
}
