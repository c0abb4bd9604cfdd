/** A set-up context over a new empty folder, and the lines that it printed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';

import type { SetupContext } from '../../../deploy/setup/context.js';
import { ROOT } from '../../programs.js';

export interface TestContext extends SetupContext {
  readonly lines: readonly string[];
}

export async function testContext(t: ExecutionContext): Promise<TestContext> {
  const folder = await mkdtemp(join(tmpdir(), 'setup-test-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const lines: string[] = [];
  return {
    root: ROOT,
    cache: folder,
    signal: new AbortController().signal,
    say: (line) => lines.push(line),
    lines,
  };
}
