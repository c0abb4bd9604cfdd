/** Compiles the engine's own kernels for this machine's processor, and puts them beside the native library. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { processorIdentity } from '../../shared/foundation/index.js';
import { installFile } from './addon.js';
import { compiledLibrary } from './compile.js';
import type { SetupContext } from './context.js';
import { filesUnder, keyOf } from './digests.js';
import type { NativeLibrary } from './native-library.js';
import { SetupProblem } from './problem.js';
import { writeWhole } from './stamp.js';

const SOURCES = 'shared/engine/native-kernels';
const FOLDER = 'node_modules/@tensorflow/tfjs-node-gpu/deps/lib';
const OUTPUT = 'native-kernels.node';

const FLAGS: readonly string[] = [
  ...['-O3', '-std=c++17', '-fPIC', '-shared', '-pthread', '-fno-math-errno'],
  // Vector instructions differ by processor: -march selects those of x86, -mcpu those of ARM.
  process.arch === 'x64' ? '-march=native' : '-mcpu=native',
  process.platform === 'darwin' ? '-Wl,-rpath,@loader_path' : '-Wl,-rpath,$ORIGIN',
];

/**
 * Installs the kernels and says for which processor they are. The engine works without them, so a failure is
 * only reported.
 */
export async function provideKernels(context: SetupContext, library: NativeLibrary): Promise<void> {
  const processor = processorIdentity();
  const description = join(context.root, FOLDER, 'native-kernels.json');
  const sources = (await filesUnder(join(context.root, SOURCES)))
    .filter((file) => /\.(?:cc|h)$/.test(file))
    .map((file) => `${SOURCES}/${file}`);
  // Distinguishes builds whose results differ in their last bits.
  const revision = (await keyOf(context.root, sources, FLAGS)).slice(0, 8);
  try {
    const compiled = await compiledLibrary(context, library, {
      name: 'native-kernels',
      output: OUTPUT,
      announcement: "compiling the engine's kernels for this processor (about 10 s)",
      sources,
      includes: [],
      flags: FLAGS,
      key: [processor],
    });
    await installFile(compiled, join(context.root, FOLDER, OUTPUT));
    await writeWhole(description, JSON.stringify({ file: OUTPUT, processor, revision }));
  } catch (error) {
    if (!(error instanceof SetupProblem)) throw error;
    // Kernels of an earlier version may take other inputs.
    await rm(description, { force: true });
    context.say(`the engine will run without its own kernels, which is slower: ${error.message}`);
  }
}
