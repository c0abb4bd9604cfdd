/** The pages of docs/ that are generated: a row each. */

import { format, resolveConfig } from 'prettier';

import { errorsPage } from './errors-page.js';
import { faultsPage } from './faults-page.js';
import { fieldsPage } from './fields-page.js';
import { metricsPage } from './metrics-page.js';

/** What makes a page's Markdown, given the project's root. */
type MakePage = (root: string) => string | Promise<string>;

const PAGES: Readonly<Record<string, MakePage>> = {
  'docs/errors.md': errorsPage,
  'docs/faults.md': faultsPage,
  'docs/fields.md': fieldsPage,
  'docs/metrics.md': metricsPage,
};

/** Every generated page by its path, laid out as the formatter has it. */
export async function generatedPages(root: string): Promise<Map<string, string>> {
  const pages = new Map<string, string>();
  for (const [path, make] of Object.entries(PAGES)) {
    const options = await resolveConfig(`${root}/${path}`);
    pages.set(path, await format(await make(root), { ...options, filepath: path }));
  }
  return pages;
}
