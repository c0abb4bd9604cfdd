/** `npm run bench [-- NAME ...] [--json]`: what is measured rather than tested. */

import { againstPytorch } from './against-pytorch.js';
import { convolutionRate } from './convolution-rate.js';
import { overhead } from './overhead.js';
import { responsiveness } from './responsiveness.js';
import { start } from './start.js';
import type { Bench } from './table.js';
import { printTable } from './table.js';

const BENCHES: Readonly<Record<string, Bench>> = {
  pytorch: againstPytorch,
  convolutions: convolutionRate,
  start,
  overhead,
  responsiveness,
};

const args = process.argv.slice(2);
const json = args.includes('--json');
const names = args.filter((arg) => arg !== '--json');
const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
if (args.includes('--help') || unknown.length > 0) {
  const problem =
    unknown.length > 0 && !args.includes('--help') ? `no bench is called ${unknown.join(', ')}\n` : '';
  console.error(
    `${problem}npm run bench [-- NAME ...] [--json]\nbenches: ${Object.keys(BENCHES).join(', ')}`,
  );
  process.exit(args.includes('--help') ? 0 : 2);
}
for (const [name, bench] of Object.entries(BENCHES)) {
  if (names.length > 0 && !names.includes(name)) continue;
  const table = await bench((line) => {
    if (!json) console.error(line);
  });
  if (json) console.log(JSON.stringify({ bench: name, ...table }));
  else printTable(name, table);
}
