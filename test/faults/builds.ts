/** Another build of the project: its sources with a few lines changed, in a separate folder. */

import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { build } from 'esbuild';

import { ROOT } from '../programs.js';

export interface Change {
  readonly file: string;
  /** Must stand there. */
  readonly from: string;
  readonly to: string;
}

/** @returns the folder, in which services can be started; they are JavaScript. */
export async function otherBuild(folder: string, changes: readonly Change[]): Promise<string> {
  await mkdir(folder);
  for (const part of ['shared', 'services', 'package.json', 'tsconfig.json'])
    await cp(join(ROOT, part), join(folder, part), { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  for (const { file, from, to } of changes) {
    const path = join(folder, file);
    const text = await readFile(path, 'utf8');
    if (!text.includes(from)) throw new Error(`${file} has no ${from}`);
    await writeFile(path, text.replace(from, to));
  }
  await build({
    absWorkingDir: folder,
    entryPoints: ['shared/**/*.ts', 'services/**/*.ts'],
    outbase: folder,
    outdir: folder,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'error',
  });
  return folder;
}
