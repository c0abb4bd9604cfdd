/**
 * Transpiles code and tests to `.setup/tests`, where `npm test` runs them: some four hundred processes then start
 * without a TypeScript loader, each in half the time.
 *
 * The folder has the layout of the checkout. Files that are not TypeScript are linked, so that modules find them as in
 * the checkout.
 */
import { copyFile, mkdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { build } from 'esbuild';

import type { SetupContext } from './context.js';
import { filesUnder } from './digests.js';

const TARGET = '.setup/tests';
const CODE = ['shared', 'services', 'deploy', 'studies', 'test'];
const LINKED = ['node_modules', 'package.json', 'tsconfig.json', 'proto', 'docs'];
const AVA_CONFIG = 'ava.config.js';

/** Makes the folder equal to the current checkout; files that are equal already are not written again. */
export async function provideTestBuild({ root }: SetupContext): Promise<void> {
  const target = join(root, TARGET);
  const folders = await Promise.all(
    CODE.map(async (folder) => (await filesUnder(join(root, folder))).map((file) => `${folder}/${file}`)),
  );
  const files = folders.flat();
  const isTypeScript = (file: string): boolean => file.endsWith('.ts') && !file.endsWith('.d.ts');
  const links = [...LINKED, ...files.filter((file) => !isTypeScript(file))];
  const { outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: files.filter(isTypeScript),
    outbase: root,
    outdir: target,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    // In the file itself, so that a stack trace and a measured coverage name the sources.
    sourcemap: 'inline',
    sourcesContent: false,
    write: false,
    logLevel: 'error',
  });
  await mkdir(target, { recursive: true });
  await removeOthers(target, [
    AVA_CONFIG,
    ...links,
    ...outputFiles.map(({ path }) => path.slice(target.length + 1)),
  ]);
  await Promise.all(outputFiles.map(({ path, text }) => writeChanged(path, text)));
  await Promise.all(links.map((file) => link(join(root, file), join(target, file))));
  // Copied, not linked: AVA uses the folder in which the file is.
  await copyFile(join(root, AVA_CONFIG), join(target, AVA_CONFIG));
}

async function removeOthers(target: string, wanted: readonly string[]): Promise<void> {
  const keep = new Set(wanted);
  const found = await filesUnder(target);
  await Promise.all(
    found.filter((file) => !keep.has(file)).map((file) => rm(join(target, file), { force: true })),
  );
}

async function writeChanged(path: string, text: string): Promise<void> {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

async function link(from: string, path: string): Promise<void> {
  if ((await readlink(path).catch(() => undefined)) === from) return;
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true, recursive: true });
  await symlink(from, path);
}
