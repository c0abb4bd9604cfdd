/** `npm run test:device -- --pack DIR`: makes a folder to take to a machine with a card (`pack.ts`). */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { pack, sizeOf } from './pack.js';

const { values } = parseArgs({ options: { pack: { type: 'string' } } });
if (values.pack === undefined) {
  console.error(
    'npm run test:device -- --pack DIR: makes a folder; then, on a machine with a card: bash DIR/run.sh',
  );
  process.exit(2);
}
const folder = resolve(values.pack);
await pack(folder);
console.log(`${folder} has ${(sizeOf(folder) / 1024 ** 2).toFixed(1)} MiB; run there: bash run.sh`);
process.exit(0);
