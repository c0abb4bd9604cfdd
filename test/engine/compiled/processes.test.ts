/** That results don't depend on the process. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import test from 'ava';
import { programArguments } from '../../programs.js';

const PROGRAM = programArguments(import.meta.url, './steps-process');

async function hashOfRun(): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, PROGRAM);
  return stdout.trim();
}

test('two processes compute the same bytes', async (t) => {
  const [one, two] = await Promise.all([hashOfRun(), hashOfRun()]);
  t.regex(one, /^[0-9a-f]{64}$/);
  t.is(one, two);
});
