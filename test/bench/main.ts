/** `npm run bench [-- NAME ...] [--only TEXT] [--json]`: what is measured rather than tested. */

import { parseArgs } from 'node:util';

import { againstPytorch } from './against-pytorch.js';
import { convolutionRate } from './convolution-rate.js';
import { exposure } from './exposure.js';
import { listing } from './job-list.js';
import { load } from './load.js';
import { measurements } from './measurements.js';
import { overhead } from './overhead.js';
import { priorities } from './priorities.js';
import { responsiveness } from './responsiveness.js';
import { samplers } from './samplers.js';
import { scaling } from './scaling.js';
import { start } from './start.js';
import type { Bench } from './table.js';
import { printTable } from './table.js';
import { watchers } from './watchers.js';

const BENCHES: Readonly<Record<string, Bench>> = {
  pytorch: againstPytorch,
  convolutions: convolutionRate,
  start,
  overhead,
  responsiveness,
  priorities,
  samplers,
  scaling,
  'job-list': listing,
  load,
  watchers,
  measurements,
  exposure,
};

const USAGE = `npm run bench [-- NAME ...] [--only TEXT] [--json]
benches: ${Object.keys(BENCHES).join(', ')}
--only measures the rows of pytorch, priorities, measurements, exposure or load that have TEXT in their names, such as "sample" or "batch 1, bfloat16"`;

const { values, positionals: names } = parseArgs({
  allowPositionals: true,
  options: { json: { type: 'boolean' }, only: { type: 'string' }, help: { type: 'boolean' } },
});
const { json = false, only = '', help = false } = values;
const unknown = names.filter((name) => !Object.hasOwn(BENCHES, name));
if (help || unknown.length > 0) {
  console.error(help ? USAGE : `no bench is called ${unknown.join(', ')}\n${USAGE}`);
  process.exit(help ? 0 : 2);
}
for (const [name, bench] of Object.entries(BENCHES)) {
  if (names.length > 0 && !names.includes(name)) continue;
  const table = await bench(
    (line) => {
      if (!json) console.error(line);
    },
    (row) => row.includes(only),
  );
  if (json) console.log(JSON.stringify({ bench: name, ...table }));
  else printTable(name, table);
}
