/** `npm run study -- NAME [--fresh]`: runs a study; what it has done before is kept, unless with --fresh. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { exactScores } from './exact-scores/study.js';
import { benchIn, type Study } from './study.js';

const STUDIES: Readonly<Record<string, Study>> = { 'exact-scores': exactScores };

const USAGE = `npm run study -- NAME [--fresh]
studies: ${Object.keys(STUDIES).join(', ')}
--fresh does everything anew, instead of using the pieces that are in results/`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { fresh: { type: 'boolean' }, help: { type: 'boolean' } },
});
const [name = '', ...others] = positionals;
const study = STUDIES[name];
if (values.help === true || study === undefined || others.length > 0) {
  console.error(study === undefined && name !== '' ? `no study is called ${name}\n${USAGE}` : USAGE);
  process.exit(values.help === true ? 0 : 2);
}
const folder = join(import.meta.dirname, study.folder);
await study.run(
  await benchIn(folder, values.fresh === true, (line) => {
    console.log(line);
  }),
);
console.log(`results are in ${join(folder, 'results')}`);
