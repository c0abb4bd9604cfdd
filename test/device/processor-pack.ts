/**
 * Makes a pack of parts for a machine with many cores and no network: `bash PLACE/part-1/run.sh` there measures the CPU
 * engine beside PyTorch. It has Node's program, ours, TensorFlow's library, the engine's kernels of every level, and
 * PyTorch's worker; PyTorch is of the Python environment there.
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';

import { create } from 'tar';

import { compiledAddon } from '../../deploy/setup/addon.js';
import type { SetupContext } from '../../deploy/setup/context.js';
import { fileSha256, keyOf } from '../../deploy/setup/digests.js';
import { portableKernels } from '../../deploy/setup/kernels.js';
import { provideNativeLibrary } from '../../deploy/setup/native-library.js';
import type { NativeLibrary } from '../../deploy/setup/native-library.js';
import { cachedFolder, withScratch } from '../../deploy/setup/publish.js';
import { run } from '../../deploy/setup/run.js';
import type { KernelDescription } from '../../shared/engine/compiled/kernel-builds.js';
import { SMALL_32 } from '../bench/networks.js';
import { writeIndex } from './packed.js';
import type { TimedNetwork } from './packed.js';
import { writeParts } from './parts.js';
import type { Part } from './parts.js';
import { commit, packModules, packPeers, packPrograms } from './programs.js';

const NETWORKS: readonly TimedNetwork[] = [
  { name: '8M', architecture: SMALL_32, trainBatch: 32, sampleBatch: 16 },
];

const RUN = `#!/usr/bin/env bash
# Measures the CPU engine beside PyTorch on this machine's cores: at most eight minutes. --help lists options.
set -euo pipefail
began=$(date +%s)
part=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 "$part/join.py" "$scratch/pack"
# What compilers keep in temporary folders goes with the rest.
mkdir "$scratch/temporary"
TMPDIR="$scratch/temporary" "$scratch/pack/node" "$scratch/pack/on-processor.mjs" \\
  --began "$began" --out "$(dirname "$part")/result.json" "$@"
`;

const COMPRESS = join(import.meta.dirname, 'compress.py');
const TFJS_NODE = 'node_modules/@tensorflow/tfjs-node-gpu';
const LIBRARIES = `${TFJS_NODE}/deps/lib`;

export interface ProcessorPack {
  /** Mebibytes of a part. */
  readonly most: number;
  /** What is timed; default: the one of the table. */
  readonly networks?: readonly TimedNetwork[];
  /** Of compressing; default: most. */
  readonly effort?: Effort;
}

/** The most takes minutes once, the least seconds and twice the room. */
type Effort = 'most' | 'least';

/**
 * @throws SetupProblem where something can't be provided.
 */
export async function packProcessor(
  folder: string,
  context: SetupContext,
  { most, networks = NETWORKS, effort = 'most' }: ProcessorPack,
): Promise<readonly Part[]> {
  const library = await provideNativeLibrary(context);
  return withScratch(context, async (scratch) => {
    const [small, compressed] = [join(scratch, 'small'), join(scratch, 'compressed')];
    await packPrograms(small, 'on-processor');
    await packTfjsNode(small, scratch, context, library);
    packPeers(small, ['pytorch_worker.py']);
    writeIndex(small, { commit: commit(), networks });
    await compress(context, small, compressed, effort);
    const large = [
      ['node', process.execPath] as const,
      ...library.files.map((file) => [`${LIBRARIES}/${file}`, join(library.directory, file)] as const),
    ];
    for (const [place, file] of large)
      copyFileSync(await compressedOnce(context, file, effort), join(compressed, `${place}.xz`));
    const file = join(scratch, 'pack.tar');
    await create({ file, cwd: compressed, portable: true }, ['.']);
    const parts = await writeParts(file, folder, most * 1024 ** 2);
    writeFileSync(join(folder, 'part-1', 'run.sh'), RUN, { mode: 0o755 });
    return parts;
  });
}

/** tfjs's package for Node, with its addon and the engine's kernels for every processor. */
async function packTfjsNode(
  folder: string,
  scratch: string,
  context: SetupContext,
  library: NativeLibrary,
): Promise<void> {
  const [addon, libraries] = [join(folder, TFJS_NODE, 'lib', 'napi-v8'), join(folder, LIBRARIES)];
  for (const each of [addon, libraries]) mkdirSync(each, { recursive: true });
  const { file } = await compiledAddon(context, library);
  copyFileSync(file, join(addon, basename(file)));
  const kernels = await portableKernels(context, library);
  for (const { file, build } of kernels) copyFileSync(file, join(libraries, build.file));
  const description: KernelDescription = { builds: kernels.map(({ build }) => build) };
  writeFileSync(join(libraries, 'native-kernels.json'), JSON.stringify(description));
  // In place of a package that looks for the addon in many places, by many other packages.
  const finder = join(scratch, 'find-addon.cjs');
  writeFileSync(
    finder,
    `exports.find = (manifest) => require('node:path').join(manifest, '../lib/napi-v8/${basename(file)}');\n`,
  );
  const main = createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu');
  await packModules(folder, { 'tfjs-node-gpu/dist/index': main }, { '@mapbox/node-pre-gyp': finder });
  copyFileSync(join(dirname(main), '..', 'package.json'), join(folder, TFJS_NODE, 'package.json'));
}

/**
 * Path of a large program or library without what debuggers need of it, compressed: made once, since it takes minutes, and
 * kept in the cache.
 */
async function compressedOnce(context: SetupContext, file: string, effort: Effort): Promise<string> {
  const name = basename(file);
  const key = await keyOf(
    dirname(COMPRESS),
    [basename(COMPRESS)],
    [await fileSha256(file), 'stripped', effort],
  );
  const folder = `packed/${key.slice(0, 16)}`;
  const made = await cachedFolder(context, folder, `${name}.xz`, async (finished, scratch) => {
    context.say(`compressing ${name}, once for all packs`);
    const stripped = join(scratch, 'stripped');
    mkdirSync(stripped);
    await run(context, 'strip', ['--strip-unneeded', '-o', join(stripped, name), file], {
      task: `stripping ${name}`,
      remedy: 'install binutils',
    });
    await compress(context, stripped, finished, effort);
  });
  return join(made, `${name}.xz`);
}

async function compress(context: SetupContext, from: string, to: string, effort: Effort): Promise<void> {
  await run(context, 'python3', [COMPRESS, from, to, effort], {
    task: 'compressing',
    remedy: "use a Python 3 with its module lzma (Debian's and Ubuntu's have it)",
    shown: true,
  });
}
