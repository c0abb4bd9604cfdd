/** docs/run-books.md: what to do about each alert, from the table of alerts. */

import { ALERTS, type Alert } from '../prometheus/alerts.js';

export function runBooksPage(): string {
  const page = [
    '# Run-books',
    'What to do when an alert of [`deploy/prometheus/rules.json`](../deploy/prometheus/rules.json) fires. `ip-diffusion` stands for `npx ip-diffusion`, or for the image `cli`.',
    'Generated from the table of alerts ([`deploy/prometheus/alerts.ts`](../deploy/prometheus/alerts.ts)) by `npm run docs`.',
    ...ALERTS.flatMap(sectionOf),
  ];
  return `${page.join('\n\n')}\n`;
}

function sectionOf({ name, expression, holds, severity, runBook }: Alert): string[] {
  const listed = (lines: readonly string[]): string => lines.map((line) => `- ${line}`).join('\n');
  return [
    `## ${name}`,
    `${severity === 'critical' ? 'Critical' : 'Warning'}, where this holds for ${holds}:`,
    `\`\`\`promql\n${expression}\n\`\`\``,
    runBook.means,
    `Look at:\n\n${listed(runBook.look)}`,
    `Then:\n\n${listed(runBook.act)}`,
  ];
}
