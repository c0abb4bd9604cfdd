/** Servers and clients of others that the tests need: built once by Go into the cache. */
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { cacheFolder } from '../../shared/foundation/index.js';
import type { SetupContext } from './context.js';
import { publish, withScratch } from './publish.js';
import { firstWorking, run } from './run.js';

export type TestTool = 'minio' | 'grpcurl';

const TOOLS: Readonly<Record<TestTool, { readonly module: string; readonly version: string }>> = {
  minio: { module: 'github.com/minio/minio', version: 'v0.0.0-20260212201848-7aac2a2c5b7c' },
  grpcurl: { module: 'github.com/fullstorydev/grpcurl/cmd/grpcurl', version: 'v1.9.4' },
};

/** Why tests that need a tool are skipped: said by set-up, and for the tests to say. */
export const GO_MISSING = 'Go is not installed: tests against a real MinIO server and grpcurl are skipped';

/**
 * The path of a tool's program, built first where the cache lacks it (MinIO takes minutes).
 *
 * @returns undefined where Go is missing.
 * @throws SetupProblem where Go is there and can't build it.
 */
export async function testTool(
  name: TestTool,
  context: SetupContext = quietContext(),
): Promise<string | undefined> {
  const { module, version } = TOOLS[name];
  const folder = join(context.cache, 'tools', `${name}-${version}`);
  const program = join(folder, name);
  const isWhole = (candidate: string) =>
    access(join(candidate, name)).then(
      () => true,
      () => false,
    );
  if (await isWhole(folder)) return program;
  const go = await firstWorking(context, ['go', '/usr/local/go/bin/go'], ['version']);
  if (go === undefined) return undefined;
  context.say(`building ${name} ${version} for the tests`);
  await withScratch(context, async (scratch) => {
    const finished = join(scratch, name);
    await mkdir(finished);
    await run(context, go, ['install', '-p', '2', `${module}@${version}`], {
      cwd: scratch,
      env: { ...process.env, GOBIN: finished },
      task: `building ${name}`,
      remedy: "check the network and Go's module proxy (go env GOPROXY), and run this again",
    });
    await publish(finished, folder, isWhole);
  });
  return program;
}

/** Builds all tools before the tests start. One that can't be built fails only the tests that need it. */
export async function prepareTestTools(context: SetupContext): Promise<void> {
  for (const name of Object.keys(TOOLS) as TestTool[]) {
    try {
      if ((await testTool(name, context)) !== undefined) continue;
      context.say(GO_MISSING);
      return;
    } catch (error) {
      context.signal.throwIfAborted();
      context.say(
        `${name} could not be built, and the tests that need it will fail: ${(error as Error).message}`,
      );
    }
  }
}

function quietContext(): SetupContext {
  return {
    root: process.cwd(),
    cache: cacheFolder(process.env),
    signal: new AbortController().signal,
    say: () => undefined,
  };
}
