/**
 * Generates TypeScript: the contract's with its descriptor set from `proto/`, the same for the client of the tests, and
 * TensorFlow's messages for the engine.
 */
import { mkdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import type { SetupContext } from './context.js';
import { filesUnder, keyOf } from './digests.js';
import { run } from './run.js';
import { removeStamp, isCurrent, recordStamp } from './stamp.js';

export const GENERATED = 'shared/contract/generated';
/** TensorFlow's graph and session messages, which the compiled engine speaks. */
const ENGINE_GENERATED = 'shared/engine/generated';
/** All of our services' descriptors and the health service's, for reflection. */
export const DESCRIPTORS = 'descriptors.binpb';

/** For a client in TypeScript such as a user would write. */
const CLIENT_GENERATED = 'test/clients/typescript/generated';

const ERROR_PROTOS = ['google/rpc/status.proto', 'google/rpc/error_details.proto'];
const ENGINE_PROTOS = ['api.proto', 'session.proto'];
const ENGINE_INCLUDES = ['node_modules/@tensorflow/tfjs-node-gpu/src/proto', 'shared/engine/proto'];
const COMMON_OPTIONS = [
  'env=node',
  'esModuleInterop=true',
  'importSuffix=.js',
  'oneof=unions-value',
  'forceLong=bigint',
  'enumsAsLiterals=true',
  'exportCommonSymbols=false',
];
const OPTIONS = ['outputServices=grpc-js', ...COMMON_OPTIONS];
const ENGINE_OPTIONS = ['outputServices=none', 'outputJsonMethods=false', ...COMMON_OPTIONS];

// With declarations beside JavaScript: its TypeScript has enums, which `erasableSyntaxOnly` refuses.
const CLIENT_OPTIONS = ['target=js+dts', 'import_extension=js'];

/** Generates where the protos, the options or the generators have changed. */
export async function provideGeneratedCode(context: SetupContext): Promise<void> {
  await provideContract(context);
  await provideClientCode(context);
  await provideEngineMessages(context);
}

async function provideContract(context: SetupContext): Promise<void> {
  const { root } = context;
  const resolvePackage = createRequire(join(root, 'package.json'));
  const ours = await protoFiles(root);
  const generators = ['protoc', 'ts-proto', 'google-proto-files', 'grpc-health-check'];
  const key = await keyOf(
    root,
    [
      ...ours.map((file) => `proto/${file}`),
      ...generators.map((name) => `node_modules/${name}/package.json`),
    ],
    OPTIONS,
  );
  await generate(context, { stamp: 'protobuf', key, folder: GENERATED }, async (partial) => {
    context.say(`generating code from ${ours.length} proto files`);
    const { protoPath: healthProto } = resolvePackage('grpc-health-check') as { protoPath: string };
    // proto/health/v1/health.proto of its package: imported as health/v1/health.proto.
    const healthRoot = dirname(dirname(dirname(healthProto)));
    const includes = ['proto', 'node_modules/google-proto-files', healthRoot].map((folder) => `-I${folder}`);
    await protoc(context, [...includes, ...typescriptTo(partial, OPTIONS), ...ours, ...ERROR_PROTOS]);
    const described = [...ours, ...ERROR_PROTOS, 'health/v1/health.proto'];
    await protoc(context, [
      ...includes,
      '--include_imports',
      `--descriptor_set_out=${join(partial, DESCRIPTORS)}`,
      ...described,
    ]);
  });
}

async function provideClientCode(context: SetupContext): Promise<void> {
  const { root } = context;
  const ours = await protoFiles(root);
  const generators = ['protoc', '@bufbuild/protoc-gen-es', 'google-proto-files'];
  const inputs = [
    ...ours.map((file) => `proto/${file}`),
    ...generators.map((name) => `node_modules/${name}/package.json`),
  ];
  const key = await keyOf(root, inputs, CLIENT_OPTIONS);
  await generate(context, { stamp: 'client-protobuf', key, folder: CLIENT_GENERATED }, async (partial) => {
    context.say('generating code for the client in TypeScript');
    await protoc(context, [
      ...['-Iproto', '-Inode_modules/google-proto-files'],
      '--plugin=node_modules/.bin/protoc-gen-es',
      `--es_out=${partial}`,
      `--es_opt=${CLIENT_OPTIONS.join(',')}`,
      ...ours,
      ...ERROR_PROTOS,
    ]);
  });
}

async function provideEngineMessages(context: SetupContext): Promise<void> {
  const sources = ENGINE_PROTOS.map((file, i) => `${ENGINE_INCLUDES[i] ?? ''}/${file}`);
  const generators = ['protoc', 'ts-proto'].map((name) => `node_modules/${name}/package.json`);
  const key = await keyOf(context.root, [...sources, ...generators], ENGINE_OPTIONS);
  await generate(context, { stamp: 'engine-protobuf', key, folder: ENGINE_GENERATED }, async (partial) => {
    context.say("generating code from TensorFlow's messages");
    const includes = ENGINE_INCLUDES.map((folder) => `-I${folder}`);
    await protoc(context, [...includes, ...typescriptTo(partial, ENGINE_OPTIONS), ...ENGINE_PROTOS]);
  });
}

interface Generation {
  readonly stamp: string;
  readonly key: string;
  readonly folder: string;
}

/** Fills a new folder and puts it in the old one's place, unless the old one is of the same key. */
async function generate(
  context: SetupContext,
  { stamp, key, folder }: Generation,
  fill: (partial: string) => Promise<void>,
): Promise<void> {
  const { root } = context;
  const target = join(root, folder);
  if (await isCurrent(root, stamp, key, target)) return;
  const partial = `${target}.${process.pid}`;
  await mkdir(partial, { recursive: true });
  try {
    await fill(partial);
    await removeStamp(root, stamp);
    await rm(target, { recursive: true, force: true });
    await rename(partial, target);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  await recordStamp(root, stamp, key, target);
}

function typescriptTo(folder: string, options: readonly string[]): string[] {
  return [
    '--plugin=node_modules/.bin/protoc-gen-ts_proto',
    `--ts_proto_out=${folder}`,
    `--ts_proto_opt=${options.join(',')}`,
  ];
}

/** The contract's files, relative to `proto/`. */
export async function protoFiles(root: string): Promise<string[]> {
  return (await filesUnder(join(root, 'proto'))).filter((file) => file.endsWith('.proto'));
}

/** Runs npm's protoc in the project's root. @param env Finds the plugins that are not named by a path. */
export function protoc(
  context: SetupContext,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  const resolvePackage = createRequire(join(context.root, 'package.json'));
  return run(context, process.execPath, [resolvePackage.resolve('protoc/protoc.cjs'), ...args], {
    env,
    task: 'generating code',
    remedy: 'correct the proto file that is named above',
  });
}
