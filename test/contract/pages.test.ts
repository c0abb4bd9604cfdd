import test from 'ava';

import { pageOf, type Page, type PageRequest } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { NAME_PATTERN } from '../../shared/recipe/index.js';

const names = ['a', 'b', 'c', 'd', 'e'];

const encode = (message: string) => ({ finish: () => Buffer.from(message) });
const content = { read: (name: string) => Promise.resolve(name), encode };

function readPage(request: PageRequest, all: readonly string[]): Promise<Page<string>> {
  return pageOf(request, all, { keyOf: (name) => name, order: 'rising', keyPattern: NAME_PATTERN }, content);
}

test('pages walk over all names once', async (t) => {
  const walked: string[] = [];
  let pageToken = '';
  do {
    const page = await readPage({ pageSize: 2, pageToken }, names);
    walked.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  t.deepEqual(walked, names);
});

test('a full last page has no next one', async (t) => {
  t.is((await readPage({ pageSize: 5, pageToken: '' }, names)).nextPageToken, '');
});

test('a name that goes between two pages shifts nothing', async (t) => {
  const { nextPageToken } = await readPage({ pageSize: 2, pageToken: '' }, names);
  const next = await readPage({ pageSize: 2, pageToken: nextPageToken }, ['a', 'c', 'd']);
  t.deepEqual(next.items, ['c', 'd']);
});

test('50 names a page unless asked otherwise, and never more than 1000', async (t) => {
  const many = Array.from({ length: 1200 }, (_, i) => `n${String(i).padStart(4, '0')}`);
  t.is((await readPage({ pageSize: 0, pageToken: '' }, many)).items.length, 50);
  t.is((await readPage({ pageSize: 5000, pageToken: '' }, many)).items.length, 1000);
});

for (const [field, request] of [
  ['page_token', { pageSize: 0, pageToken: 'no token' }],
  ['page_token', { pageSize: 0, pageToken: Buffer.from('../x').toString('base64url') }],
] as const) {
  test(`${JSON.stringify(request)} is refused, naming ${field}`, async (t) => {
    const error = await t.throwsAsync(readPage(request, names), { instanceOf: DiffusionError });
    t.deepEqual(
      error.violations.map((violation) => violation.field),
      [field],
    );
  });
}

test('a falling order is walked from its end', async (t) => {
  const paging = { keyOf: (name: string) => name, order: 'falling', keyPattern: NAME_PATTERN } as const;
  const falling = names.toReversed();
  const first = await pageOf({ pageSize: 3, pageToken: '' }, falling, paging, content);
  t.deepEqual(first.items, ['e', 'd', 'c']);
  const second = await pageOf({ pageSize: 3, pageToken: first.nextPageToken }, falling, paging, content);
  t.deepEqual(second.items, ['b', 'a']);
});

test('a page ends before it is too long for a message, and the next page starts with the item that did not fit', async (t) => {
  const MIB = 1024 * 1024;
  const large = { ...content, encode: () => ({ finish: () => Buffer.alloc(MIB) }) };
  const paging = { keyOf: (name: string) => name, order: 'rising', keyPattern: NAME_PATTERN } as const;
  const first = await pageOf({ pageSize: 0, pageToken: '' }, names, paging, large);
  t.deepEqual(first.items, ['a', 'b', 'c']);
  const second = await pageOf({ pageSize: 0, pageToken: first.nextPageToken }, names, paging, large);
  t.deepEqual(second, { items: ['d', 'e'], nextPageToken: '' });
});

test('one item is on a page however long it is', async (t) => {
  const huge = { ...content, encode: () => ({ finish: () => Buffer.alloc(4 * 1024 * 1024) }) };
  const paging = { keyOf: (name: string) => name, order: 'rising', keyPattern: NAME_PATTERN } as const;
  const page = await pageOf({ pageSize: 0, pageToken: '' }, names, paging, huge);
  t.deepEqual(page.items, ['a']);
  t.not(page.nextPageToken, '');
});

test('skipped items take no place on a page, and a page of skipped items is not the last one', async (t) => {
  const many = Array.from({ length: 100 }, (_, i) => `n${String(i).padStart(3, '0')}`);
  const few = { ...content, read: (name: string) => Promise.resolve(name.endsWith('9') ? name : undefined) };
  const paging = { keyOf: (name: string) => name, order: 'rising', keyPattern: NAME_PATTERN } as const;
  const first = await pageOf({ pageSize: 4, pageToken: '' }, many, paging, few);
  t.deepEqual(first.items, ['n009', 'n019', 'n029', 'n039']);
  const rest = await pageOf({ pageSize: 50, pageToken: first.nextPageToken }, many, paging, few);
  t.is(rest.items.length, 6);
  t.is(rest.nextPageToken, '');
});
