/** That memory stays what it was, and that running out of it has a name. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import test from 'ava';
import { programArguments } from '../../programs.js';

const run = promisify(execFile);

async function program(name: string, environment: Record<string, string> = {}): Promise<string> {
  const { stdout } = await run(
    process.execPath,
    ['--expose-gc', ...programArguments(import.meta.url, name)],
    {
      maxBuffer: 1 << 24,
      env: { ...process.env, ...environment },
    },
  );
  return stdout.trim();
}

test('memory does not grow over 2,000 training steps [fault 72]', async (t) => {
  const { tensorsBefore, tensorsAfter, grownMb } = JSON.parse(
    await program('./many-steps-process'),
  ) as Record<string, number>;
  t.is(tensorsAfter, tensorsBefore);
  // What 1,800 steps may leave behind; a leak of one image a step would be more.
  t.true((grownMb ?? Infinity) < 20, `grown by ${String(grownMb)} MiB`);
});

test('out of memory is its own error [fault 65]', async (t) => {
  t.is(await program('./out-of-memory-process'), 'RESOURCE_EXHAUSTED ENGINE_OUT_OF_MEMORY');
});

// Only Linux has limits of address space that hold.
(process.platform === 'linux' ? test : test.skip)(
  'a kernel without memory to work in is out of memory, too',
  async (t) => {
    // One heap, and blocks of memory that are given back: so it is known how much each run takes.
    const malloc = { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: String(2 ** 20) };
    t.deepEqual((await program('./scratch-process', malloc)).split('\n'), [
      'NativeConv3x3: RESOURCE_EXHAUSTED ENGINE_OUT_OF_MEMORY in a kernel',
      'NativeAttention: RESOURCE_EXHAUSTED ENGINE_OUT_OF_MEMORY in a kernel',
      'NativeConv3x3: computed',
      'NativeAttention: computed',
    ]);
  },
);
