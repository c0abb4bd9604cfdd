/** `measure compare`: results of several measurements in one table. */

import { shown } from '../../../shared/exposure/index.js';
import { EQUAL_FACTS } from '../../../shared/measuring/index.js';
import { command } from '../command.js';
import { table } from '../format.js';
import {
  admittedDifferences,
  comparisonOf,
  ownFacts,
  readResult,
  writeComparison,
  type WrittenResult,
} from '../measure/compare-results.js';
import { option, repeated, text } from '../options.js';
import { UsageError } from '../parse-arguments.js';

const USAGE = 'ip-diffusion measure compare';
const MOST = 100;

export const measureCompareCommand = command({
  name: 'compare',
  summary: 'puts results of measurements into one table, where they may stand in one',
  positionals: [
    { name: 'FIRST', help: 'a folder of --out, or a results.json' },
    { name: 'SECOND', help: 'the same' },
  ],
  options: {
    with: repeated(text('PATH'), 'a further result; may be given several times'),
    across: repeated(
      text('FACT'),
      `a fact that may differ, as it is what is compared (such as steps); one of ${EQUAL_FACTS.join(', ')}, or settings of MEASURE`,
    ),
    out: option(text('DIR'), 'folder for results.json, results.csv, report.html and pictures (SVG, PNG)'),
  },
  examples: [
    { arguments: 'exposure-ddpm exposure-ip', does: 'two models, measured in the same way' },
    {
      arguments: 'steps-10 steps-20 --with steps-50 --across steps --out quality-by-steps',
      does: 'quality against steps, with a picture',
    },
  ],
  notes: [
    'Results are refused where a fact differs that must be equal in one table: kind, precision, sampler, steps, n, seed,\nimages, extractor, or the settings of a measure. Models, checkpoints and weights may always differ.',
  ],
  run: async ({ options: { with: more, across, out }, positionals: [first = '', second = ''] }, context) => {
    const paths = [first, second, ...more];
    if (paths.length > MOST)
      throw new UsageError(`wanted at most ${MOST} results; got ${paths.length}`, USAGE);
    const compared = await Promise.all(paths.map(readResult));
    const found = admittedDifferences(compared, across);
    const notes = [
      ...ownFacts(compared),
      ...found.map(({ name, values }) => `They differ in ${name}: ${values.join(' | ')}`),
    ];
    const results = comparisonOf(compared, notes);
    const { terminal } = context;
    terminal.emit({
      compared: compared.map(({ label, contract }) => ({ label, contract })),
      differences: found,
      results: results.map((result) => ({ ...result, pictures: undefined })),
    });
    for (const line of table(rowsOf(compared))) terminal.print(line);
    for (const note of notes) terminal.print(note);
    if (out !== undefined) {
      terminal.print(`written: ${await writeComparison('Compared results', out, compared, results)}`);
    }
    return 0;
  },
});

function rowsOf(compared: readonly WrittenResult[]): string[][] {
  const names = new Set(
    compared.flatMap(({ results }) =>
      results.flatMap(({ measure, findings }) => findings.map(({ name }) => JSON.stringify([measure, name]))),
    ),
  );
  const rows = [...names].map((key) => {
    const [measure, name] = JSON.parse(key) as [string, string];
    const cells = compared.map(({ results }) => {
      const found = results
        .find((each) => each.measure === measure)
        ?.findings.find((each) => each.name === name);
      return found === undefined
        ? '-'
        : `${shown(found.value)} (${shown(found.low)} to ${shown(found.high)})`;
    });
    return [`${measure}: ${name}`, ...cells];
  });
  return [['', ...compared.map(({ label }) => label)], ...rows];
}
