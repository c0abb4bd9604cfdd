/**
 * Makes a folder for a machine with an NVIDIA card and no network: `bash FOLDER/run.sh` there checks and measures. It has
 * Node's program, ours, the workers of PyTorch and JAX, and what the CPU engine computed here; plugin and CUDA's libraries,
 * PyTorch and JAX are of the Python environment there.
 */
import { createReadStream, createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createGzip } from 'node:zlib';

import { createCompiledEngine } from '../../shared/engine/index.js';
import { CIFAR10_32, SMALL_32 } from '../bench/networks.js';
import { trainedFrom, training } from '../engine/compiled/training.js';
import { CHECKED } from './checks.js';
import { writePacked } from './packed.js';
import type { TimedNetwork } from './packed.js';
import { peerArrays } from './peer-arrays.js';
import { PEER_ARRAYS } from './peers.js';
import { commit, MOST_MEBIBYTES, packPeers, packPrograms, sizeOf } from './programs.js';

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
  await packPrograms(folder, 'on-card');
  packStub(folder);
  const gzip = createGzip({ level: constants.Z_BEST_COMPRESSION });
  await pipeline(createReadStream(process.execPath), gzip, createWriteStream(join(folder, 'node.gz')));
  packPeers(folder, ['pytorch_worker.py', 'jax_worker.py']);
  writeFileSync(join(folder, 'run.sh'), RUN, { mode: 0o755 });
  const { load } = await createCompiledEngine();
  writeFileSync(join(folder, PEER_ARRAYS), await peerArrays(load));
  const expected = await trainedFrom(load, training(CHECKED, 1));
  writePacked(folder, { commit: commit(), networks, expected });
  const size = sizeOf(folder) / 1024 ** 2;
  if (size > MOST_MEBIBYTES)
    throw new Error(`${folder} has ${size.toFixed(1)} MiB; wanted ${MOST_MEBIBYTES}`);
}

/** In place of tfjs's package for Node: `shared/engine/tf.ts` looks for all of tfjs beside it. */
function packStub(folder: string): void {
  const stub = join(folder, 'node_modules', '@tensorflow', 'tfjs-node-gpu');
  mkdirSync(stub, { recursive: true });
  writeFileSync(join(stub, 'package.json'), '{ "name": "@tensorflow/tfjs-node-gpu" }\n');
}
