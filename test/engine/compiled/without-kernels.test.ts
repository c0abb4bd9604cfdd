/** That an engine without kernels of its own says why, and what to do. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import test from 'ava';

import { kernelsFinding } from '../../../services/cli/doctor/native-library.js';
import { kernelsIn } from '../../../shared/engine/compiled/native-kernels.js';
import { createCompiledEngine } from '../../../shared/engine/index.js';
import { processorIdentity } from '../../../shared/foundation/index.js';
import { siblingModule } from '../../../shared/processes/index.js';
import { LOADER } from '../../programs.js';

const { build } = await createCompiledEngine();
const folder = await mkdtemp(join(tmpdir(), 'kernels-'));
test.after.always(() => rm(folder, { recursive: true }));

const describe = (description: object | string): Promise<void> =>
  writeFile(
    join(folder, 'native-kernels.json'),
    typeof description === 'string' ? description : JSON.stringify(description),
  );

const native = (processor: string) => ({
  builds: [{ level: 'native', file: 'kernels.node', processor, revision: '1' }],
});

test.serial('where the set-up did not build them', (t) => {
  t.deepEqual(kernelsIn(folder), { reason: 'the set-up did not build them', remedy: 'npm run setup' });
});

test.serial('where they are for another processor', async (t) => {
  await describe(native('another'));
  const reason = 'they were built for another processor';
  t.deepEqual(kernelsIn(folder), { reason, remedy: 'npm run setup, on this machine' });
});

test.serial('where their file is missing, is not a library, or has an unreadable description', async (t) => {
  await describe(native(processorIdentity()));
  const loading = () => {
    const found = kernelsIn(folder);
    t.like(found, { remedy: 'npm run setup' });
    return 'reason' in found ? found.reason : '';
  };
  t.regex(loading(), /^they could not be loaded \(.+\)$/);
  await writeFile(join(folder, 'kernels.node'), 'no library');
  t.regex(loading(), /^they could not be loaded \(.+\)$/);
  await describe('{');
  t.regex(loading(), /^they could not be loaded \(.+\)$/);
});

test('the build says that they are switched off, and is another one than with them', async (t) => {
  const program = `
    const { createCompiledEngine } = await import('${siblingModule(import.meta.url, '../../../shared/engine/index').href}');
    console.log(JSON.stringify((await createCompiledEngine()).build));`;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...LOADER, '--input-type=module', '-e', program],
    { env: { ...process.env, IP_DIFFUSION_NATIVE_KERNELS: 'off' } },
  );
  const off = JSON.parse(stdout) as typeof build;
  const without = {
    reason: 'IP_DIFFUSION_NATIVE_KERNELS is off',
    remedy: 'unset IP_DIFFUSION_NATIVE_KERNELS',
  };
  t.deepEqual(off.withoutKernels, without);
  t.regex(off.platform, /, no kernels$/);
  t.deepEqual(kernelsFinding(off), {
    ...{ name: 'kernels', state: 'wrong', remedy: without.remedy },
    text: "without the engine's own kernels, which is slower: IP_DIFFUSION_NATIVE_KERNELS is off",
  });
});

test('the build names the kernels by all that results to the bit depend on', (t) => {
  t.is(build.withoutKernels, undefined);
  t.regex(build.platform, /, kernels [0-9a-f]{8} of (4|8|16) lanes( and (tiles|pairs))?$/);
  t.is(build.kernelLevel, 'native');
  t.is(kernelsFinding(build).text, "the engine's own are in use, built for this processor");
  t.regex(kernelsFinding({ kernelLevel: 'x86-64-v4' }).text, /built for x86-64-v4$/);
});

test('the doctor suggests nothing where they are switched off', (t) => {
  t.is(kernelsFinding({ withoutKernels: { reason: 'a GPU computes' } }).state, 'absent');
});
