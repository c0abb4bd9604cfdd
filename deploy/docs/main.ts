/** `npm run docs`: writes the generated pages. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { generatedPages } from './pages.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
for (const [path, text] of await generatedPages(root)) await writeFile(join(root, path), text);
