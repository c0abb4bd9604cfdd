/**
 * `npm run test:device -- --pack DIR [--processor [--part-size MIB]]`: makes a folder to take to another machine (`pack.ts`,
 * `processor-pack.ts`).
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { standaloneContext } from '../../deploy/setup/context.js';
import { pack } from './pack.js';
import { packProcessor } from './processor-pack.js';
import { MOST_MEBIBYTES, sizeOf } from './programs.js';

const { values } = parseArgs({
  options: {
    pack: { type: 'string' },
    processor: { type: 'boolean', default: false },
    'part-size': { type: 'string', default: String(MOST_MEBIBYTES) },
  },
});
const most = Number(values['part-size']);
if (values.pack === undefined || !(most >= 1 && most <= MOST_MEBIBYTES)) {
  console.error(`npm run test:device -- --pack DIR: makes a folder; then, on a machine with a card: bash DIR/run.sh
npm run test:device -- --pack DIR --processor [--part-size MIB]: makes its folders part-1, part-2, ... of 1 to ${MOST_MEBIBYTES} MiB
each; then, on a machine with many cores, where all of them are in one place: bash PLACE/part-1/run.sh`);
  process.exit(2);
}
const folder = resolve(values.pack);
const mebibytes = (path: string): string => `${path} has ${(sizeOf(path) / 1024 ** 2).toFixed(1)} MiB`;
if (values.processor) {
  const say = (line: string): void => {
    console.log(line);
  };
  for (const { name, sha256 } of await packProcessor(folder, standaloneContext(say), { most }))
    say(`${mebibytes(resolve(folder, name))}; the SHA-256 of its piece is ${sha256}`);
  say('take each of them into one place; run there: bash part-1/run.sh');
} else {
  await pack(folder);
  console.log(`${mebibytes(folder)}; run there: bash run.sh`);
}
process.exit(0);
