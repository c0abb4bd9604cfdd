/** `npm run study -- NAME [options]`: runs a study; what it has done before is kept, unless with --fresh. */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

import { cacheFolder } from '../shared/foundation/index.js';
import { exactScores } from './exact-scores/study.js';
import { gate } from './gate/study.js';
import { benchIn, type Study } from './study.js';
import { variants } from './variants/study.js';

const STUDIES: Readonly<Record<string, Study>> = { 'exact-scores': exactScores, gate, variants };

const USAGE = `npm run study -- NAME [--data DIR] [--work DIR] [--fresh]
studies: ${Object.keys(STUDIES).join(', ')}
--data   the folder of images that studies with training take (studies/README.md says which)
--work   where they keep networks, prepared images and samples; default: under the cache folder
--fresh  does everything anew, instead of using the pieces that are in results/`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...{ data: { type: 'string' }, work: { type: 'string' } },
    ...{ fresh: { type: 'boolean' }, help: { type: 'boolean' } },
  },
});
const [name = '', ...others] = positionals;
const study = STUDIES[name];
if (values.help === true || study === undefined || others.length > 0) {
  console.error(study === undefined && name !== '' ? `no study is called ${name}\n${USAGE}` : USAGE);
  process.exit(values.help === true ? 0 : 2);
}
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    stop.abort(new Error(`ended by ${signal}; the same command goes on`));
  });
const folder = join(import.meta.dirname, study.folder);
await study.run(
  await benchIn({
    folder,
    fresh: values.fresh === true,
    data: values.data,
    work: resolve(values.work ?? join(cacheFolder(process.env), 'studies')),
    signal: stop.signal,
    print: (line) => {
      console.log(line);
    },
  }),
);
console.log(`results are in ${join(folder, 'results')}`);
