/** The native library by a real pip from a local folder of wheels: checked, unpacked, repaired. */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, readdir, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';

import { fileSha256 } from '../../../deploy/setup/digests.js';
import { libraryBuild, libraryFiles } from '../../../deploy/setup/native-library-builds.js';
import type { LibraryBuild } from '../../../deploy/setup/native-library-builds.js';
import { cachedLibrary, provideNativeLibrary } from '../../../deploy/setup/native-library.js';
import { SetupProblem } from '../../../deploy/setup/problem.js';
import { testContext } from './scratch.js';

const MAKE_WHEEL = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as wheel:
    info = 'tensorflow_cpu-2.21.0.dist-info/'
    wheel.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: tensorflow-cpu\\nVersion: 2.21.0\\n')
    wheel.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nTag: cp311-cp311-manylinux_2_27_x86_64\\n')
    wheel.writestr(info + 'RECORD', '')
    for name in sys.argv[2:]:
        wheel.writestr('tensorflow/' + name, name)
`;
const [mainFile, frameworkFile] = libraryFiles(process.platform);
const pinned = libraryBuild('linux', 'x64') as LibraryBuild;

/** pip set to a folder that holds one small wheel under the pinned name. */
async function wheelhouse(t: ExecutionContext) {
  const setup = await testContext(t);
  const wheels = join(setup.cache, 'wheels');
  await mkdir(wheels);
  const wheel = join(wheels, pinned.wheel);
  const header = 'include/tensorflow/c/c_api.h';
  execFileSync('python3', ['-c', MAKE_WHEEL, wheel, mainFile, frameworkFile, header, 'python/unwanted.py']);
  Object.assign(process.env, { PIP_NO_INDEX: '1', PIP_FIND_LINKS: wheels, PIP_CONFIG_FILE: '/dev/null' });
  return { setup, build: { ...pinned, sha256: await fileSha256(wheel) } };
}

test.serial('the wheel is unpacked to the libraries and headers alone, and deleted', async (t) => {
  const { setup, build } = await wheelhouse(t);
  const library = await cachedLibrary(setup, build);
  t.is(await readFile(join(library.directory, mainFile), 'utf8'), mainFile);
  const names = (await readdir(library.directory)).sort();
  t.deepEqual(names, ['contents.json', 'include', mainFile, frameworkFile].sort());
  t.deepEqual((await readdir(setup.cache)).sort(), ['libtensorflow', 'wheels']);
});

test.serial('a second call downloads nothing', async (t) => {
  const { setup, build } = await wheelhouse(t);
  const first = await cachedLibrary(setup, build);
  const lines = setup.lines.length;
  t.deepEqual(await cachedLibrary(setup, build), first);
  t.is(setup.lines.length, lines);
});

test.serial('an incomplete library is unpacked again', async (t) => {
  const { setup, build } = await wheelhouse(t);
  const { directory } = await cachedLibrary(setup, build);
  await truncate(join(directory, mainFile), 3);
  await cachedLibrary(setup, build);
  t.is(await readFile(join(directory, mainFile), 'utf8'), mainFile);
});

test.serial('a wheel with another hash is refused and deleted', async (t) => {
  const { setup } = await wheelhouse(t);
  const error = await t.throwsAsync(cachedLibrary(setup, pinned), { instanceOf: SetupProblem });
  t.regex(error.message, new RegExp(`wrong SHA-256: wanted ${pinned.sha256}; got [0-9a-f]{64}`));
  t.deepEqual(await readdir(setup.cache), ['wheels']);
});

test.serial('a library of the user’s own needs both libraries and the headers', async (t) => {
  const setup = await testContext(t);
  const header = join(setup.cache, 'include/tensorflow/c/c_api.h');
  await mkdir(dirname(header), { recursive: true });
  for (const file of [header, join(setup.cache, frameworkFile)]) await writeFile(file, '');
  process.env['IP_DIFFUSION_LIBTENSORFLOW'] = setup.cache;
  t.teardown(() => delete process.env['IP_DIFFUSION_LIBTENSORFLOW']);
  const error = await t.throwsAsync(provideNativeLibrary(setup), { instanceOf: SetupProblem });
  t.true(error.message.includes(mainFile));

  await writeFile(join(setup.cache, mainFile), 'library');
  const library = await provideNativeLibrary(setup);
  t.is(library.directory, setup.cache);
  await writeFile(join(setup.cache, mainFile), 'another library');
  t.not((await provideNativeLibrary(setup)).identity, library.identity);
});
