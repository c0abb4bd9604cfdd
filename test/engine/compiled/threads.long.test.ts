/** That no result depends on how many threads share the work. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import test from 'ava';
import { programArguments } from '../../programs.js';

const PROGRAM = programArguments(import.meta.url, './threads-process');

async function hashesOn(threads: number): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, PROGRAM, {
    env: { ...process.env, TF_NUM_INTRAOP_THREADS: String(threads) },
  });
  return stdout.trim().split('\n');
}

test("the kernels' results are the same bytes on 1, 2 and 7 threads", async (t) => {
  // Seven threads wait for one another, and may have to share a processor.
  t.timeout(1_800_000);
  const alone = await hashesOn(1);
  t.true(alone.length > 10);
  for (const threads of [2, 7]) t.deepEqual(await hashesOn(threads), alone, `${threads} threads`);
});
