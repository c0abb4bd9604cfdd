/** The clients in several languages that the tests run: generated from `proto/` by protoc without our tools, and built into the cache. */
import { copyFile, mkdir } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';

import type { SetupContext } from './context.js';
import { keyOf } from './digests.js';
import { protoc, protoFiles } from './protobuf.js';
import { cachedFolder } from './publish.js';
import { virtualEnvironment } from './python.js';
import { run } from './run.js';
import { findGo, GO_MISSING, testTool } from './test-tools.js';

/** A program that takes the trainer's address, the sampler's, and a folder of images. */
export interface ClientProgram {
  readonly command: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

const SOURCES = 'test/clients';

/**
 * Finds each client by its name, built first where the cache lacks it; undefined where Go is needed and missing. The one
 * in TypeScript needs no build: its code is generated with that of the services.
 */
export const TEST_CLIENTS = {
  Go: goClient,
  'Python with protobuf 6': (context) => pythonClient(context, 'requirements-6.txt'),
  'Python with protobuf 7': (context) => pythonClient(context, 'requirements-7.txt'),
} satisfies Record<string, (context: SetupContext) => Promise<ClientProgram | undefined>>;

/** Builds all clients before the tests start. One that can't be built fails only its own test. */
export async function prepareTestClients(context: SetupContext): Promise<void> {
  for (const [name, build] of Object.entries(TEST_CLIENTS)) {
    try {
      if ((await build(context)) === undefined) context.say(GO_MISSING);
    } catch (error) {
      context.signal.throwIfAborted();
      context.say(
        `the client in ${name} could not be built, and its test will fail: ${(error as Error).message}`,
      );
    }
  }
}

async function goClient(context: SetupContext): Promise<ClientProgram | undefined> {
  const go = await findGo(context);
  const plugins = [await testTool('protoc-gen-go', context), await testTool('protoc-gen-go-grpc', context)];
  if (go === undefined) return undefined;
  const source = join(context.root, SOURCES, 'go');
  const sources = ['go.mod', 'go.sum', 'main.go'];
  const inputs = sources.map((file) => `${SOURCES}/go/${file}`);
  const words = [process.platform, process.arch, ...plugins.map((path) => path ?? '')];
  const folder = await built(
    context,
    { name: 'go-client', inputs, words, output: 'client' },
    async (target) => {
      context.say('building the client in Go');
      const module = join(target, 'generated');
      await mkdir(module);
      for (const file of sources) await copyFile(join(source, file), join(target, file));
      const outputs = ['go', 'go-grpc'].flatMap((plugin) => [
        `--${plugin}_out=${module}`,
        `--${plugin}_opt=module=ipdiffusion`,
      ]);
      const path = [...plugins.map((plugin) => dirname(plugin ?? '')), process.env['PATH'] ?? ''];
      const env = { ...process.env, PATH: path.join(delimiter) };
      await protoc(context, ['-Iproto', ...outputs, ...(await protoFiles(context.root))], env);
      await goCommand(context, go, ['mod', 'init', 'ipdiffusion'], module);
      await goCommand(context, go, ['mod', 'edit', '-go=1.26.0'], module);
      await goCommand(context, go, ['build', '-p', '2', '-o', 'client', '.'], target);
    },
  );
  return { command: join(folder, 'client'), args: [], environment: {} };
}

function goCommand(context: SetupContext, go: string, args: readonly string[], cwd: string): Promise<string> {
  return run(context, go, args, {
    cwd,
    task: 'building the client in Go',
    remedy:
      'check the version of Go (1.26 or newer) and its module proxy (go env GOPROXY), and run this again',
  });
}

async function pythonClient(context: SetupContext, requirements: string): Promise<ClientProgram> {
  const source = join(context.root, SOURCES, 'python');
  const python = await virtualEnvironment(context, {
    name: 'python-client',
    requirements: join(source, requirements),
    imports: 'grpc_tools.protoc, grpc_status.rpc_status',
    size: 'some 40 MB',
  });
  const inputs = [`${SOURCES}/python/${requirements}`];
  // The last file that protoc writes.
  const output = 'diffusion/types/v1/sampling_pb2.py';
  const generated = await built(
    context,
    { name: 'python-generated', inputs, words: [], output },
    async (target) => {
      const outputs = [`--python_out=${target}`, `--grpc_python_out=${target}`];
      const files = await protoFiles(context.root);
      await run(context, python, ['-m', 'grpc_tools.protoc', '-Iproto', ...outputs, ...files], {
        task: 'generating code in Python',
        remedy: 'correct the proto file that is named above',
      });
    },
  );
  return { command: python, args: [join(source, 'client.py')], environment: { PYTHONPATH: generated } };
}

interface Built {
  /** Folder of the cache. */
  readonly name: string;
  /** Files that it is made from beside `proto/`, relative to the root. */
  readonly inputs: readonly string[];
  /** What else it depends on. */
  readonly words: readonly string[];
  /** A file that is there when it is whole. */
  readonly output: string;
}

/** A folder of the cache that `fill` fills once for the same inputs. */
async function built(
  context: SetupContext,
  { name, inputs, words, output }: Built,
  fill: (target: string) => Promise<void>,
): Promise<string> {
  const protos = (await protoFiles(context.root)).map((file) => `proto/${file}`);
  const key = await keyOf(context.root, [...protos, ...inputs], words);
  return cachedFolder(context, `${name}/${key.slice(0, 16)}`, output, fill);
}
