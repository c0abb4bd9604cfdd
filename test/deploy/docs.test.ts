import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import test from 'ava';

import { describedReasons } from '../../deploy/docs/errors-page.js';
import { generatedPages } from '../../deploy/docs/pages.js';
import { WIRE_REASONS } from '../../shared/foundation/index.js';
import { ROOT } from '../programs.js';

test('the generated pages are those of the sources: run `npm run docs`', async (t) => {
  for (const [path, text] of await generatedPages(ROOT))
    t.is(await readFile(join(ROOT, path), 'utf8'), text, path);
});

test('the contract has every reason that a service can send, with the same code', async (t) => {
  const described = await describedReasons(ROOT);
  t.deepEqual(Object.fromEntries(described.map(({ name, code }) => [name, code])), { ...WIRE_REASONS });
});
