/** Programs of other projects that the tests need: built once by Go into the cache. */
import { join } from 'node:path';

import { standaloneContext, type SetupContext } from './context.js';
import { cachedFolder, exists } from './publish.js';
import { firstWorking, run } from './run.js';

export type TestTool =
  | 'minio'
  | 'versitygw'
  | 'helm'
  | 'grpcurl'
  | 'protoc-gen-go'
  | 'protoc-gen-go-grpc'
  | 'temporal'
  | 'toxiproxy'
  | 'ghz';

interface GoTool {
  readonly module: string;
  readonly version: string;
  /** What Go calls the program, after the last part of the module's path; the tool's own name where it is undefined. */
  readonly program?: string;
  /** Whether `npm test` does without it, so that it is built when it is first asked for. */
  readonly isExtra?: true;
}

const TOOLS: Readonly<Record<TestTool, GoTool>> = {
  minio: { module: 'github.com/minio/minio', version: 'v0.0.0-20260212201848-7aac2a2c5b7c' },
  versitygw: {
    ...{ module: 'github.com/versity/versitygw/cmd/versitygw', version: 'v1.8.0' },
    isExtra: true,
  },
  // Of `npm run test:deploy`.
  helm: { module: 'helm.sh/helm/v3/cmd/helm', version: 'v3.22.0', isExtra: true },
  // Later versions need modules that not every proxy serves.
  temporal: { module: 'github.com/temporalio/cli/cmd/temporal', version: 'v1.5.1', isExtra: true },
  grpcurl: { module: 'github.com/fullstorydev/grpcurl/cmd/grpcurl', version: 'v1.9.4' },
  'protoc-gen-go': { module: 'google.golang.org/protobuf/cmd/protoc-gen-go', version: 'v1.36.12' },
  'protoc-gen-go-grpc': { module: 'google.golang.org/grpc/cmd/protoc-gen-go-grpc', version: 'v1.6.2' },
  toxiproxy: {
    ...{ module: 'github.com/Shopify/toxiproxy/v2/cmd/server', version: 'v2.12.0', program: 'server' },
    isExtra: true,
  },
  ghz: { module: 'github.com/bojand/ghz/cmd/ghz', version: 'v0.120.0', isExtra: true },
};

/** Why tests that need a tool are skipped; set-up and the tests print it. */
export const GO_MISSING =
  'Go is not installed: tests with a real MinIO server, grpcurl or a client in Go are skipped';

/**
 * The path of a tool's program, built first where the cache lacks it (MinIO takes minutes).
 *
 * @returns undefined where Go is missing.
 * @throws SetupProblem where Go is there and can't build it.
 */
export async function testTool(
  name: TestTool,
  context: SetupContext = standaloneContext(),
): Promise<string | undefined> {
  const { module, version, program: file = name } = TOOLS[name];
  const folder = `tools/${name}-${version}`;
  const program = join(context.cache, folder, file);
  if (await exists(program)) return program;
  const go = await findGo(context);
  if (go === undefined) return undefined;
  context.say(`building ${name} ${version} for the tests`);
  await cachedFolder(context, folder, file, async (finished, scratch) => {
    await run(context, go, ['install', '-p', '2', `${module}@${version}`], {
      cwd: scratch,
      env: { ...process.env, GOBIN: finished },
      task: `building ${name}`,
      remedy: "check the network and Go's module proxy (go env GOPROXY), and run this again",
    });
  });
  return program;
}

/** The Go command; undefined where there is none. */
export function findGo(context: SetupContext): Promise<string | undefined> {
  return firstWorking(context, ['go', '/usr/local/go/bin/go'], ['version']);
}

/** Builds all tools before the tests start. One that can't be built fails only the tests that need it. */
export async function prepareTestTools(context: SetupContext): Promise<void> {
  for (const name of Object.keys(TOOLS) as TestTool[]) {
    if (TOOLS[name].isExtra === true) continue;
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
