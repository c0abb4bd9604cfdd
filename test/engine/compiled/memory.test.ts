/** That memory stays what it was, and that running out of it has a name. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import test from 'ava';

const run = promisify(execFile);

async function program(name: string): Promise<string> {
  const path = fileURLToPath(new URL(name, import.meta.url));
  const { stdout } = await run(process.execPath, ['--expose-gc', '--import=tsx', path], {
    maxBuffer: 1 << 24,
  });
  return stdout.trim();
}

test('2,000 training steps hold memory flat', async (t) => {
  const { tensorsBefore, tensorsAfter, grownMb } = JSON.parse(
    await program('many-steps-process.ts'),
  ) as Record<string, number>;
  t.is(tensorsAfter, tensorsBefore);
  // What 1,800 steps may leave behind; a leak of one image a step would be more.
  t.true((grownMb ?? Infinity) < 20, `grown by ${String(grownMb)} MiB`);
});

test('out of memory is an error of its own', async (t) => {
  t.is(await program('out-of-memory-process.ts'), 'RESOURCE_EXHAUSTED ENGINE_OOM');
});
