/** What every pack has of this checkout: programs, the libraries that they load, and workers of other frameworks. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, readdirSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { build } from 'esbuild';

import { PEERS_FOLDER } from '../bench/python.js';

/** What may be taken to another machine at a time. */
export const MOST_MEBIBYTES = 60;

export const ROOT = join(import.meta.dirname, '..', '..');

/**
 * Ours, each as one file beside which nothing but the libraries is needed.
 * @param main What measures: the name of a file of this folder, without its ending.
 */
export async function packPrograms(folder: string, main: string): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: { [main]: `test/device/${main}.ts`, 'engine-worker': 'test/bench/engine-worker.ts' },
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
  // As shared/engine/tf.ts finds them.
  await packModules(folder, {
    'tfjs-core/index': require.resolve('@tensorflow/tfjs-core'),
    'tfjs/index': tfjsFile(),
  });
  for (const name of ['koffi', '@koromix/koffi-linux-x64']) {
    cpSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true });
  }
}

/**
 * Modules of tfjs, each with what it needs but for the other ones.
 * @param entryPoints Files of them, by their places in `node_modules/@tensorflow`, without endings.
 * @param alias Of a package: the file that is taken in its place.
 */
export async function packModules(
  folder: string,
  entryPoints: Readonly<Record<string, string>>,
  alias: Record<string, string> = {},
): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints,
    alias,
    outdir: join(folder, 'node_modules', '@tensorflow'),
    bundle: true,
    minify: true,
    format: 'cjs',
    platform: 'node',
    external: ['@tensorflow/tfjs-core', '@tensorflow/tfjs'],
    logLevel: 'error',
  });
}

/** Workers of other frameworks, and what they share: files of `test/bench/peers`. */
export function packPeers(folder: string, workers: readonly string[]): void {
  for (const file of ['work.py', 'unet.py', ...workers]) {
    copyFileSync(join(PEERS_FOLDER, file), join(folder, file));
  }
}

/** Of the checkout, shortened. */
export function commit(): string {
  return execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: ROOT, encoding: 'utf8' }).trim();
}

const require = createRequire(import.meta.url);
/** All of tfjs, which comes with its package for Node. */
const tfjsFile = (): string =>
  createRequire(require.resolve('@tensorflow/tfjs-node-gpu/package.json')).resolve('@tensorflow/tfjs');

/** Of all files under a folder, in bytes. */
export function sizeOf(folder: string): number {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((each) => each.isFile());
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
}
