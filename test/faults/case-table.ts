/** The faults that the services must answer (cases.txt), and which tests show that they do: their titles say so. */

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface Case {
  /** `12`, or `A3` for those that were found in this project. */
  readonly id: string;
  readonly area: string;
  readonly text: string;
  readonly wanted: string;
  /** Why no test can show it; undefined where one must. */
  readonly argument: string | undefined;
}

/** A test whose title ends with `[fault 12, A3]`. */
export interface Claim {
  /** From the checkout: `test/rpc/tls.test.ts`. */
  readonly file: string;
  /** Without the cases. Of a template literal as it is written. */
  readonly title: string;
  readonly ids: readonly string[];
}

const TAG = String.raw` \[fault ([A\d, ]+)\]`;
/** A string of TypeScript that ends with a tag. */
const TAGGED_STRING = new RegExp(String.raw`(['"\x60])((?:\\.|(?!\1)[^\\\n])*)${TAG}\1`, 'g');

/** The cases that a test's title names. */
export function idsIn(title: string): string[] {
  return new RegExp(`${TAG}$`).exec(title)?.[1]?.split(', ') ?? [];
}

/** @throws Error for a line that is no case. */
export async function readCases(root: string): Promise<Case[]> {
  const lines = (await readFile(join(root, 'test/faults/cases.txt'), 'utf8')).split('\n');
  let area = '';
  return lines.flatMap((line) => {
    if (line.startsWith('## ')) area = line.slice(3);
    if (line === '' || line.startsWith('#')) return [];
    const [id = '', text, wanted, argument] = line.split(' | ');
    if (!/^A?\d+$/.test(id) || text === undefined || wanted === undefined)
      throw new Error(`cases.txt: wanted "number | what happens | answer": ${line}`);
    return [{ id, area, text, wanted, argument }];
  });
}

/** Every claim of the sources of the tests, in the order of files and lines. */
export async function readClaims(root: string): Promise<Claim[]> {
  const claims: Claim[] = [];
  for (const file of await testSources(root)) {
    const source = await readFile(join(root, file), 'utf8');
    for (const [, , title = '', ids = ''] of source.matchAll(TAGGED_STRING))
      claims.push({ file, title: title.replaceAll(/\\(.)/g, '$1'), ids: ids.split(', ') });
  }
  return claims;
}

/** Files with tests: `*.test.ts`, and `*.contract.ts`, whose tests run where they are imported. */
export async function testSources(root: string): Promise<string[]> {
  const files = await readdir(join(root, 'test'), { recursive: true });
  return files
    .filter((file) => /\.(test|contract)\.ts$/.test(file))
    .map((file) => `test/${file}`)
    .sort();
}
