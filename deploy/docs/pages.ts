/** What is generated from tables: pages of docs/, dashboards and rules; a row each. */

import { format, resolveConfig } from 'prettier';

import { configurationPage } from './configuration-page.js';
import { errorsPage } from './errors-page.js';
import { faultsPage } from './faults-page.js';
import { fieldsPage } from './fields-page.js';
import { DASHBOARD_FILES } from '../grafana/dashboard-files.js';
import { rulesFile } from '../prometheus/rules-file.js';
import { metricsPage } from './metrics-page.js';
import { runBooksPage } from './run-books-page.js';
import { scalingPage } from './scaling-page.js';

/** What makes a file's text, given the project's root. */
type MakePage = (root: string) => string | Promise<string>;

const PAGES: Readonly<Record<string, MakePage>> = {
  'docs/configuration.md': configurationPage,
  'docs/errors.md': errorsPage,
  'docs/faults.md': faultsPage,
  'docs/fields.md': fieldsPage,
  'docs/metrics.md': metricsPage,
  'docs/run-books.md': runBooksPage,
  'docs/scaling.md': scalingPage,
  'deploy/prometheus/rules.json': rulesFile,
  ...DASHBOARD_FILES,
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
