import test from 'ava';

import { ROOT } from '../programs.js';
import { idsIn, readCases, readClaims } from './case-table.js';

const cases = await readCases(ROOT);
const claims = await readClaims(ROOT);
const ids = cases.map(({ id }) => id);

test('the cases are 1 to 118 and A1 to the last, each once', (t) => {
  const further = ids.filter((id) => id.startsWith('A')).length;
  const upTo = (count: number, prefix = '') => Array.from({ length: count }, (_, n) => `${prefix}${n + 1}`);
  t.deepEqual(ids, [...upTo(118), ...upTo(further, 'A')]);
});

test('a test names no case that does not exist', (t) => {
  for (const { file, title, ids: named } of claims)
    for (const id of named) t.true(ids.includes(id), `${file}: ${title} names ${id}`);
});

test('each case is named by a test, or has the reason why none can show it', (t) => {
  const covered = new Set(claims.flatMap((claim) => claim.ids));
  const open = cases.filter(({ id, argument }) => argument === undefined && !covered.has(id));
  t.deepEqual(
    open.map(({ id, text }) => `${id} ${text}`),
    [],
  );
});

test('the cases of a title are those in its brackets', (t) => {
  const tagged = (ids: string, after = ''): string[] => idsIn(`a title [fault ${ids}]${after}`);
  t.deepEqual(tagged('12, A3'), ['12', 'A3']);
  t.deepEqual(tagged('12', ' and more'), []);
  t.deepEqual(idsIn('a title with fault 12'), []);
});
