/** Generates TypeScript and the descriptor set from `proto/`. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import type { SetupContext } from './context.js';
import { filesUnder, keyOf } from './digests.js';
import { run } from './run.js';
import { forgetStamp, isCurrent, recordStamp } from './stamp.js';

export const GENERATED = 'shared/contract/generated';
/** All of our services' descriptors and the health service's, for reflection. */
export const DESCRIPTORS = 'descriptors.binpb';

const ERROR_PROTOS = ['google/rpc/status.proto', 'google/rpc/error_details.proto'];
const OPTIONS = [
  'outputServices=grpc-js',
  'env=node',
  'esModuleInterop=true',
  'importSuffix=.js',
  'oneof=unions-value',
  'forceLong=bigint',
  'enumsAsLiterals=true',
  'exportCommonSymbols=false',
];

/** Generates where the protos, the options or the generators have changed. */
export async function provideGeneratedCode(context: SetupContext): Promise<void> {
  const { root } = context;
  const resolvePackage = createRequire(join(root, 'package.json'));
  const ours = (await filesUnder(join(root, 'proto'))).filter((file) => file.endsWith('.proto'));
  const generators = ['protoc', 'ts-proto', 'google-proto-files', 'grpc-health-check'];
  const key = await keyOf(
    root,
    [
      ...ours.map((file) => `proto/${file}`),
      ...generators.map((name) => `node_modules/${name}/package.json`),
    ],
    OPTIONS,
  );
  const target = join(root, GENERATED);
  if (await isCurrent(root, 'protobuf', key, target)) return;

  context.say(`generating code from ${ours.length} proto files`);
  const { protoPath: healthProto } = resolvePackage('grpc-health-check') as { protoPath: string };
  // proto/health/v1/health.proto of its package: imported as health/v1/health.proto.
  const healthRoot = dirname(dirname(dirname(healthProto)));
  const protoc = (args: readonly string[]) =>
    run(context, process.execPath, [resolvePackage.resolve('protoc/protoc.cjs'), ...args], {
      task: 'generating code',
      remedy: 'correct the proto file that is named above',
    });
  const includes = ['proto', 'node_modules/google-proto-files', healthRoot].map((folder) => `-I${folder}`);

  const partial = `${target}.${process.pid}`;
  await mkdir(partial, { recursive: true });
  try {
    await protoc([
      ...includes,
      '--plugin=node_modules/.bin/protoc-gen-ts_proto',
      `--ts_proto_out=${partial}`,
      `--ts_proto_opt=${OPTIONS.join(',')}`,
      ...ours,
      ...ERROR_PROTOS,
    ]);
    const described = [...ours, ...ERROR_PROTOS, 'health/v1/health.proto'];
    await protoc([
      ...includes,
      '--include_imports',
      `--descriptor_set_out=${join(partial, DESCRIPTORS)}`,
      ...described,
    ]);
    await forgetStamp(root, 'protobuf');
    await rm(target, { recursive: true, force: true });
    await rename(partial, target);
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
  await recordStamp(root, 'protobuf', key, target);
}
