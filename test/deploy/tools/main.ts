/**
 * `npm run test:deploy`: what lies in deploy/, by the tools of those for whom it is made. Needs Go, and promtool and
 * prometheus on the path (Debian: apt-get install prometheus).
 */
import { join } from 'node:path';

import { standaloneContext } from '../../../deploy/setup/context.js';
import { virtualEnvironment } from '../../../deploy/setup/python.js';
import { program } from '../../images/programs.js';
import { ROOT } from '../../programs.js';
import { checkChart } from './chart.js';
import { checkCompose } from './compose.js';
import { checkAlerts, checkPanels } from './expressions.js';

const context = standaloneContext((line) => {
  console.log(`test:deploy: ${line}`);
});
const python = await virtualEnvironment(context, {
  name: 'deploy-tools',
  requirements: join(ROOT, 'test/deploy/tools/requirements.txt'),
  imports: 'kubernetes_validate, podman_compose',
  size: 'some 60 MB',
});
const packages = await program(python, ['-c', 'import sysconfig; print(sysconfig.get_path("purelib"))']);
const writesExample = process.argv.includes('--write-example');

/** Each says what it found, or throws. */
const CHECKS: Readonly<Record<string, () => Promise<string>>> = {
  'the chart': () => checkChart(python, writesExample),
  'the Dockerfile': async () => {
    await program(join(packages, 'bin/hadolint'), [join(ROOT, 'deploy/images/Dockerfile')]);
    return 'hadolint has nothing to say';
  },
  'the syntax of compose.yaml': async () => {
    const file = join(ROOT, 'deploy/compose/compose.yaml');
    await program(python, ['-m', 'podman_compose', '-f', file, 'config']);
    return 'podman-compose reads it';
  },
  'the services of compose.yaml': () => checkCompose('prometheus'),
  alerts: () => checkAlerts('promtool'),
  dashboards: () => checkPanels('promtool'),
};

for (const [name, check] of Object.entries(CHECKS)) {
  try {
    console.log(`✔ ${name}: ${await check()}`);
  } catch (error) {
    process.exitCode = 1;
    console.error(`✘ ${name}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
