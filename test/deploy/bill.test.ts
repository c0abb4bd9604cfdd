/** The list of what an image is made of. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import test from 'ava';

import { ROOT } from '../programs.js';

interface Packages {
  readonly dependencies: Readonly<Record<string, string>>;
}

const SCRIPT =
  "import('./deploy/images/bill.mjs').then(({ npmBill }) => console.log(JSON.stringify(npmBill())))";

test('it has every package that is needed at run time, and none that is only for development', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', SCRIPT], {
    cwd: ROOT,
    maxBuffer: 2 ** 26,
  });
  const bill = JSON.parse(stdout) as {
    components: { 'bom-ref': string; name: string }[];
    dependencies: { ref: string; dependsOn?: string[] }[];
  };
  const { dependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as Packages;
  const names = new Set(bill.components.map(({ name }) => name));
  t.deepEqual(
    Object.keys(dependencies).filter((name) => !names.has(name)),
    [],
  );
  for (const name of ['ava', 'eslint', 'typescript']) t.false(names.has(name), name);
  const refs = new Set(bill.components.map((component) => component['bom-ref']));
  const missing = bill.dependencies.flatMap(({ dependsOn = [] }) =>
    dependsOn.filter((ref) => !refs.has(ref)),
  );
  t.deepEqual(missing, []);
});
