/** docs/faults.md: every fault that the services must answer, with the tests that show the answer. */

import { readCases, readClaims, type Case, type Claim } from '../../test/faults/case-table.js';

export async function faultsPage(root: string): Promise<string> {
  const cases = await readCases(root);
  const claims = await readClaims(root);
  const areas = [...new Set(cases.map(({ area }) => area))];
  const argued = cases.filter(({ argument }) => argument !== undefined).length;
  const page = [
    '# Faults and bad input',
    'What can go wrong from outside, the answer that is wanted, and the tests that show it. `npm run test:faults` runs these tests and prints the result of each case; with `-- --list` it prints this table and runs nothing.',
    `${cases.length} cases: ${cases.length - argued} are shown by tests, ${argued} are not, for the reason that stands there.`,
    'Generated from `test/faults/cases.txt` and the titles of the tests by `npm run docs`.',
    ...areas.flatMap((area) => [
      `## ${area}`,
      [
        '|  | What happens | Answer | Shown by |',
        '| --- | --- | --- | --- |',
        ...cases.filter((each) => each.area === area).map((each) => rowOf(each, claims)),
      ].join('\n'),
    ]),
  ];
  return `${page.join('\n\n')}\n`;
}

function rowOf({ id, text, wanted, argument }: Case, claims: readonly Claim[]): string {
  const tests = claims.filter(({ ids }) => ids.includes(id)).map(linkTo);
  const shown = argument === undefined ? tests : [`Not shown: ${argument}`, ...tests];
  return `| ${[id, text, wanted, shown.join('<br>')].map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function linkTo({ file, title }: Claim): string {
  const plain = title.replaceAll(/\$\{[^}]*\}/g, '…').replaceAll('[', '\\[');
  return `[${plain}](../${file})`;
}
