/**
 * `npm run test:faults`: runs the tests that show how faults are answered, and prints every case with its result. Exits
 * with 1 where a case is neither covered nor argued, or one of its tests fails or does not run.
 *
 * `--list` prints the cases with their tests and runs nothing.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';

import { ROOT } from '../programs.js';
import { idsIn, readCases, readClaims, testSources, type Case, type Claim } from './case-table.js';

interface Outcome {
  readonly title: string;
  readonly ids: readonly string[];
  readonly result: 'passed' | 'failed' | 'skipped';
}

/** A line of TAP. */
const TAP = /^(not )?ok \d+ - (.*?)( # SKIP.*)?$/;

const cases = await readCases(ROOT);
const claims = await readClaims(ROOT);
const isList = process.argv.includes('--list');
const outcomes = isList ? [] : await run(await filesOf(claims));

let open = 0;
for (const each of cases) {
  const [verdict, details] = verdictOf(each);
  if (['failed', 'open'].includes(verdict)) open += 1;
  console.log(`${each.id.padStart(4)}  ${verdict.padEnd(8)} ${each.text}`);
  for (const line of details) console.log(`                 ${line}`);
}
console.log(`\n${cases.length} cases, ${open} of them failed or without an answer`);
process.exitCode = open === 0 ? 0 : 1;

function verdictOf({ id, argument }: Case): readonly [verdict: string, details: readonly string[]] {
  const claimed = claims.filter(({ ids }) => ids.includes(id));
  const titles = claimed.map(({ file, title }) => `${file}: ${title}`);
  if (claimed.length === 0) return argument === undefined ? ['open', []] : ['argued', [argument]];
  if (isList) return ['covered', titles];
  const wrong = [
    ...outcomes
      .filter(({ ids, result }) => result === 'failed' && ids.includes(id))
      .map(({ title }) => `failed: ${title}`),
    ...claimed.filter((claim) => !hasRun(claim)).map(({ title }) => `did not run: ${title}`),
  ];
  return wrong.length > 0 ? ['failed', wrong] : ['passed', titles];
}

/** Whether a test with this title passed. A title that is a template stands for any number of tests. */
function hasRun({ title, ids }: Claim): boolean {
  const parts = title.split(/\$\{[^}]*\}/);
  return outcomes.some(
    (outcome) =>
      outcome.result === 'passed' &&
      ids.every((id) => outcome.ids.includes(id)) &&
      isMadeOf(parts, outcome.title),
  );
}

/** Whether the parts stand in a text, one after another. */
function isMadeOf(parts: readonly string[], text: string): boolean {
  let from = 0;
  for (const part of parts) {
    const at = text.indexOf(part, from);
    if (at < 0) return false;
    from = at + part.length;
  }
  return true;
}

/** The test files with these claims: a contract's are run by the files that import it. */
async function filesOf(of: readonly Claim[]): Promise<string[]> {
  const named = new Set(of.map(({ file }) => file));
  const contracts = [...named].filter((file) => file.endsWith('.contract.ts'));
  const imports = contracts.map((file) => `/${basename(file, '.ts')}.js'`);
  const files = (await testSources(ROOT)).filter((file) => file.endsWith('.test.ts'));
  const wanted = await Promise.all(
    files.map(async (file) => {
      if (named.has(file)) return true;
      const source = await readFile(join(ROOT, file), 'utf8');
      return imports.some((each) => source.includes(each));
    }),
  );
  return files.filter((_file, index) => wanted[index]);
}

/** Runs whole files: tests of a file may follow one another. Those that fail are shown as they do. */
async function run(files: readonly string[]): Promise<Outcome[]> {
  const ava = join(ROOT, 'node_modules/ava/entrypoints/cli.mjs');
  const compiled = files.map((file) => file.replace(/\.ts$/, '.js'));
  const child = spawn(process.execPath, [ava, '--tap', ...compiled], {
    cwd: join(ROOT, '.setup/tests'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'close');
  const found: Outcome[] = [];
  let isFailure = false;
  for await (const line of createInterface({ input: child.stdout })) {
    const [, not, title, skip] = TAP.exec(line) ?? [];
    if (title === undefined) {
      // What follows a failure explains it.
      if (isFailure) console.log(line);
      continue;
    }
    isFailure = not !== undefined;
    if (isFailure) console.log(line);
    const result = skip !== undefined ? 'skipped' : isFailure ? 'failed' : 'passed';
    found.push({ title, ids: idsIn(title), result });
  }
  await ended;
  return found;
}
