/** The kernels that are compiled for other machines: each level that this processor runs against the build for it alone. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import test from 'ava';
import type { ExecutionContext } from 'ava';

import { standaloneContext } from '../../../deploy/setup/context.js';
import { HAS_LEVELS, levelKernels } from '../../../deploy/setup/kernels.js';
import { provideNativeLibrary } from '../../../deploy/setup/native-library.js';
import { KERNEL_LEVELS } from '../../../shared/engine/native-kernels/levels.js';
import { processorFeatures } from '../../../shared/foundation/index.js';
import { programArguments, ROOT } from '../../programs.js';
import { relativeDifference } from './both.js';
import { isExhaustive } from './preset-sizes.js';

const PROGRAM = programArguments(import.meta.url, './levels-process');
const NATIVE = join(ROOT, 'node_modules/@tensorflow/tfjs-node-gpu/deps/lib');

interface Printed {
  readonly level: string;
  readonly platform: string;
  readonly results: Readonly<Record<string, string>>;
}

async function printed(folder: string, level: string): Promise<Printed> {
  const { stdout } = await promisify(execFile)(process.execPath, [...PROGRAM, folder], {
    env: { ...process.env, IP_DIFFUSION_NATIVE_KERNELS: level },
    maxBuffer: 2 ** 28,
  });
  return JSON.parse(stdout) as Printed;
}

/** A folder as set-up leaves it, with the kernels of one level. */
async function folderOf(t: ExecutionContext, name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'levels-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const level = KERNEL_LEVELS.find((each) => each.name === name);
  if (level === undefined) throw new Error(`no level ${name}`);
  // The sources are in the checkout, also where the tests are compiled.
  const context = { ...standaloneContext(t.log), root: ROOT };
  const library = await provideNativeLibrary(context);
  const { file, build } = await levelKernels(context, library, level);
  await symlink(file, join(folder, build.file));
  await writeFile(join(folder, 'native-kernels.json'), JSON.stringify({ builds: [build] }));
  return folder;
}

const numbers = (text: string | undefined): Float32Array => {
  const bytes = Buffer.from(text ?? '', 'base64');
  return new Float32Array(new Uint8Array(bytes).buffer);
};

const features = processorFeatures();
const runs = KERNEL_LEVELS.filter(({ needs }) => needs.every((feature) => features.has(feature)));
// Each takes a compilation: `npm run test:kernels` takes all of them, `npm test` the one that most machines run.
const tried = HAS_LEVELS ? (isExhaustive ? runs : runs.slice(-1)) : [];

/** Rounding to bfloat16 happens at other places where products are in pairs or tiles. */
const TOLERANCE = { float32: 2e-5, bfloat16: 0.02 };

for (const { name } of tried) {
  test(`${name} computes what the build for this processor does`, async (t) => {
    t.timeout(900_000);
    const [native, level] = await Promise.all([
      printed(NATIVE, 'native'),
      folderOf(t, name).then((folder) => printed(folder, name)),
    ]);
    t.is(native.level, 'native');
    t.is(level.level, name);
    t.is(Object.keys(level.results).length, 22);
    const equal: string[] = [];
    for (const [result, wanted] of Object.entries(native.results)) {
      const tolerance = result.startsWith('float32') ? TOLERANCE.float32 : TOLERANCE.bfloat16;
      const difference = relativeDifference(numbers(level.results[result]), numbers(wanted));
      t.true(difference <= tolerance, `${result}: off by ${difference}`);
      if (level.results[result] === wanted) equal.push(result);
    }
    t.log(
      `${level.platform}: ${equal.length} of 22 results have the same bytes as those of ${native.platform}`,
    );
  });
}
