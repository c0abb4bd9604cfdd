/** Programs that tests run as processes of their own: compiled where the tests are (`npm test`), else through a loader. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { siblingModule } from '../shared/processes/index.js';

/** What Node needs to run modules of this build. */
export const LOADER = import.meta.url.endsWith('.ts') ? ['--import', import.meta.resolve('tsx')] : [];

/** The arguments with which Node runs a module. @param name Relative to the calling one, without extension: './x-process'. */
export function programArguments(importMetaUrl: string, name: string): string[] {
  return [...LOADER, fileURLToPath(siblingModule(importMetaUrl, name))];
}

/** The checkout, also where the tests are compiled to a folder in it. */
export const ROOT = checkoutOf(import.meta.dirname);

function checkoutOf(folder: string): string {
  return existsSync(join(folder, 'package-lock.json')) ? folder : checkoutOf(dirname(folder));
}
