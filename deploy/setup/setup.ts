/** The set-up after npm's packages: native library, addon, generated code, build. Steps that are done already are skipped. */
import { join } from 'node:path';

import { provideAddon } from './addon.js';
import { provideBuild } from './build.js';
import { cacheFolder, downloadsFolder } from '../../shared/foundation/index.js';
import type { SetupContext } from './context.js';
import { deviceOf, provideDevice, provideTestDevice } from './device.js';
import { provideExtractor } from './extractor.js';
import { provideKernels } from './kernels.js';
import { prebuiltFolder } from './prebuilt.js';
import { provideNativeLibrary } from './native-library.js';
import { SetupProblem } from './problem.js';
import { provideGeneratedCode } from './protobuf.js';
import { provideTestBuild } from './test-build.js';
import { provideTemporal } from './temporal.js';
import { prepareTestClients } from './test-clients.js';
import { prepareTestTools } from './test-tools.js';

const given = process.argv.slice(2);
const options = new Set(given);
const interrupted = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interrupted.abort();
  });
}
const context: SetupContext = {
  root: join(import.meta.dirname, '..', '..'),
  cache: cacheFolder(process.env),
  prebuilt: prebuiltFolder(),
  signal: interrupted.signal,
  say: (line) => {
    console.log(`setup: ${line}`);
  },
};

/** For what only some need, which may have a folder of its own. */
const downloads: SetupContext = { ...context, cache: downloadsFolder(process.env) };

try {
  const startedMs = performance.now();
  const library = await provideNativeLibrary(context);
  await provideAddon(context, library);
  await provideKernels(context, library, options.has('--portable'));
  await provideGeneratedCode(context);
  if (options.has('--device')) {
    await provideDevice(downloads, deviceOf(given[given.indexOf('--device') + 1] ?? ''));
  }
  if (options.has('--extractor') || options.has('--test-tools')) await provideExtractor(context);
  if (options.has('--temporal')) await provideTemporal(downloads);
  if (!options.has('--skip-build')) await provideBuild(context);
  if (options.has('--test-build')) await provideTestBuild(context);
  if (options.has('--test-tools')) {
    await provideTestDevice(downloads);
    await prepareTestTools(context);
    await prepareTestClients(context);
  }
  context.say(`ready (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (interrupted.signal.aborted) {
    console.error('\nsetup: interrupted; run it again to continue');
    return 130;
  }
  const message = error instanceof Error ? error.message : String(error);
  console.error(`\nsetup: ${message}`);
  if (error instanceof SetupProblem) console.error(`setup: to remedy it: ${error.remedy}`);
  return 1;
}
