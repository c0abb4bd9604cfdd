/** What TensorFlow writes to stderr while it is loaded. */
import { spawnSync } from 'node:child_process';

import test from 'ava';

import { siblingModule } from '../../shared/processes/index.js';
import { LOADER } from '../programs.js';

const engine = siblingModule(import.meta.url, '../../shared/engine/index').href;
const SCRIPT = `
  import { createEagerEngine } from '${engine}';
  await createEagerEngine();
  console.error('started');
`;

function stderrOf(environment: Readonly<Record<string, string>>): string {
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...environment };
  const words = [...LOADER, '--input-type=module', '-e', SCRIPT];
  return spawnSync(process.execPath, words, { env, encoding: 'utf8' }).stderr;
}

test("TensorFlow's messages about the processor are hidden, unless TF_CPP_MIN_LOG_LEVEL is 0", (t) => {
  t.is(stderrOf({}), 'started\n');
  t.regex(stderrOf({ TF_CPP_MIN_LOG_LEVEL: '0' }), /oneDNN custom operations are on[^]*started\n$/);
});
