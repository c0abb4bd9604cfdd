/** `npm run prebuilt -- DIR`: leaves in a folder what set-up compiles, for machines without a compiler. */
import { resolve } from 'node:path';

import { standaloneContext } from './context.js';
import { provideNativeLibrary } from './native-library.js';
import { writePrebuilt } from './prebuilt.js';

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('wanted the folder to write to: npm run prebuilt -- DIR');
  process.exitCode = 1;
} else {
  const target = resolve(folder);
  const context = standaloneContext((line) => {
    console.log(`prebuilt: ${line}`);
  });
  await writePrebuilt(context, await provideNativeLibrary(context), target);
  console.log(
    `prebuilt: ${target} has the addon and the kernels; IP_DIFFUSION_PREBUILT names it to a set-up`,
  );
}
