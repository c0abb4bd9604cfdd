/**
 * Makes a folder for a machine with an NVIDIA card and no network: `bash FOLDER/run.sh` there checks and measures. It has
 * Node's program, ours, the workers of PyTorch and JAX, and what the CPU engine computed here; plugin and CUDA's libraries,
 * PyTorch and JAX are of the Python environment there.
 */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  cpSync,
  createReadStream,
  createWriteStream,
  mkdirSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';

import { build } from 'esbuild';

import { createCompiledEngine } from '../../shared/engine/index.js';
import { CIFAR10_32, SMALL_32 } from '../bench/networks.js';
import { PEERS_FOLDER } from '../bench/python.js';
import { trainedFrom, training } from '../engine/compiled/training.js';
import { CHECKED } from './checks.js';
import { writePacked } from './packed.js';
import type { TimedNetwork } from './packed.js';
import { peerArrays } from './peer-arrays.js';
import { PEER_ARRAYS } from './peers.js';

export const MOST_MEBIBYTES = 60;

const ROOT = join(import.meta.dirname, '..', '..');

const NETWORKS: readonly TimedNetwork[] = [
  { name: '57M (cifar10-32)', architecture: CIFAR10_32, trainBatch: 128, sampleBatch: 64 },
  { name: '8M', architecture: SMALL_32, trainBatch: 128, sampleBatch: 64 },
];

const RUN = `#!/usr/bin/env bash
# Checks the engine on this machine's card, and measures it beside PyTorch and JAX: at most eight minutes. --help lists options.
set -euo pipefail
folder=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
gunzip -c "$folder/node.gz" >"$scratch/node"
chmod +x "$scratch/node"
# What compilers keep in temporary folders goes with the rest.
TMPDIR="$scratch" "$scratch/node" "$folder/on-card.mjs" "$@"
`;

/** @param networks What is timed; default: those of the table. @throws Error where the folder is larger than 60 MiB. */
export async function pack(folder: string, networks: readonly TimedNetwork[] = NETWORKS): Promise<void> {
  mkdirSync(folder, { recursive: true });
  await packPrograms(folder);
  packLibraries(folder);
  const gzip = createGzip({ level: constants.Z_BEST_COMPRESSION });
  await pipeline(createReadStream(process.execPath), gzip, createWriteStream(join(folder, 'node.gz')));
  for (const file of ['work.py', 'pytorch_worker.py', 'unet.py', 'jax_worker.py']) {
    copyFileSync(join(PEERS_FOLDER, file), join(folder, file));
  }
  writeFileSync(join(folder, 'run.sh'), RUN, { mode: 0o755 });
  const { load } = await createCompiledEngine();
  writeFileSync(join(folder, PEER_ARRAYS), await peerArrays(load));
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
    cwd: ROOT,
    encoding: 'utf8',
  }).trim();
  writePacked(folder, { commit, networks, expected: await trainedFrom(load, training(CHECKED, 1)) });
  const size = sizeOf(folder) / 1024 ** 2;
  if (size > MOST_MEBIBYTES)
    throw new Error(`${folder} has ${size.toFixed(1)} MiB; wanted ${MOST_MEBIBYTES}`);
}

/** Ours, each as one file beside which nothing but the libraries is needed. */
async function packPrograms(folder: string): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: { 'on-card': 'test/device/on-card.ts', 'engine-worker': 'test/bench/engine-worker.ts' },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: ['koffi', '@tensorflow/*', 'sharp'],
    banner: { js: "import { createRequire as of } from 'node:module'; const require = of(import.meta.url);" },
    logLevel: 'error',
  });
  await build({
    absWorkingDir: ROOT,
    // As shared/engine/tf.ts finds them.
    entryPoints: {
      'tfjs-core/index': moduleFile('@tensorflow/tfjs-core'),
      'tfjs/index': tfjsFile(),
    },
    outdir: join(folder, 'node_modules', '@tensorflow'),
    bundle: true,
    minify: true,
    format: 'cjs',
    platform: 'node',
    external: ['@tensorflow/tfjs-core'],
    logLevel: 'error',
  });
  const stub = join(folder, 'node_modules', '@tensorflow', 'tfjs-node-gpu');
  mkdirSync(stub, { recursive: true });
  writeFileSync(join(stub, 'package.json'), '{ "name": "@tensorflow/tfjs-node-gpu" }\n');
}

function packLibraries(folder: string): void {
  for (const name of ['koffi', '@koromix/koffi-linux-x64']) {
    cpSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true });
  }
}

const require = createRequire(import.meta.url);
const moduleFile = (name: string): string => require.resolve(name);
/** All of tfjs, which comes with its package for Node. */
const tfjsFile = (): string =>
  createRequire(require.resolve('@tensorflow/tfjs-node-gpu/package.json')).resolve('@tensorflow/tfjs');

/** Of all files under a folder, in bytes. */
export function sizeOf(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}
