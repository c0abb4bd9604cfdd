import test from 'ava';

import { pageOf, type Page, type PageRequest } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { NAME_PATTERN } from '../../shared/recipe/index.js';

const names = ['a', 'b', 'c', 'd', 'e'];

function readPage(request: PageRequest, all: readonly string[]): Page<string> {
  return pageOf(request, all, { keyOf: (name) => name, order: 'rising', keyPattern: NAME_PATTERN });
}

test('pages walk over all names once', (t) => {
  const walked: string[] = [];
  let pageToken = '';
  do {
    const page = readPage({ pageSize: 2, pageToken }, names);
    walked.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  t.deepEqual(walked, names);
});

test('a full last page has no next one', (t) => {
  t.is(readPage({ pageSize: 5, pageToken: '' }, names).nextPageToken, '');
});

test('a name that goes between two pages shifts nothing', (t) => {
  const { nextPageToken } = readPage({ pageSize: 2, pageToken: '' }, names);
  t.deepEqual(readPage({ pageSize: 2, pageToken: nextPageToken }, ['a', 'c', 'd']).items, ['c', 'd']);
});

test('50 names a page unless asked otherwise, and never more than 1000', (t) => {
  const many = Array.from({ length: 1200 }, (_, i) => `n${String(i).padStart(4, '0')}`);
  t.is(readPage({ pageSize: 0, pageToken: '' }, many).items.length, 50);
  t.is(readPage({ pageSize: 5000, pageToken: '' }, many).items.length, 1000);
});

for (const [field, request] of [
  ['page_size', { pageSize: -1, pageToken: '' }],
  ['page_token', { pageSize: 0, pageToken: 'no token' }],
  ['page_token', { pageSize: 0, pageToken: Buffer.from('../x').toString('base64url') }],
] as const) {
  test(`${JSON.stringify(request)} is refused, naming ${field}`, (t) => {
    const error = t.throws(() => readPage(request, names), { instanceOf: DiffusionError });
    t.deepEqual(
      error.violations.map((violation) => violation.field),
      [field],
    );
  });
}

test('a falling order is walked from its end', (t) => {
  const paging = { keyOf: (name: string) => name, order: 'falling', keyPattern: NAME_PATTERN } as const;
  const falling = names.toReversed();
  const first = pageOf({ pageSize: 3, pageToken: '' }, falling, paging);
  t.deepEqual(first.items, ['e', 'd', 'c']);
  t.deepEqual(pageOf({ pageSize: 3, pageToken: first.nextPageToken }, falling, paging).items, ['b', 'a']);
});
