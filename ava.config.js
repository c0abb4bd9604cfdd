import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';

// `npm test` runs compiled tests in `.setup/tests` (deploy/setup/test-build.ts), where there is no lockfile; `npx ava`
// runs TypeScript through a loader.
const isCompiled = !existsSync(new URL('package-lock.json', import.meta.url));
const extension = isCompiled ? 'js' : 'ts';

// `npm test` leaves the long tests to `npm run test:long`; a file that is named runs always.
const FILES = {
  short: [`test/**/*.test.${extension}`, `!test/**/*.long.test.${extension}`],
  long: [`test/**/*.long.test.${extension}`],
  all: [`test/**/*.test.${extension}`],
};

// The files that take longest, the longest first: begun last, one of them would run alone while a processor idles.
const LONGEST = [
  'engine/compiled/threads.long',
  'engine/compiled/hoisting.long',
  'integration/variants.long',
  'integration/trainer',
  'engine/compiled/steps.long',
  'store/store.minio',
  'trainer/engine-process/checkpoint-writer',
  'integration/sampler-measurements',
  'integration/sampler-loads.long',
  'integration/sampler-faults',
  'cli/measure-server.long',
  'cli/demo.long',
  'faults/hostile-fields.long',
  'training/gradient-penalty.long',
  'engine/compiled/preset-blocks.long',
  'engine/compiled/preset-convolutions.long',
  'trainer/engine-process/training-loop',
  'faults/two-builds.long',
  'faults/store-outages.long',
  'integration/trainer-recipes.long',
  'store/store.local',
  'processes/child-process',
  'store/retrying-store',
  'integration/sampler-generate',
  'integration/sampler-features',
  'integration/trainer-door',
  'deploy/setup/native-library.long',
  'engine/compiled/memory.long',
  'faults/two-trainers.long',
  'integration/trainer-minio.long',
  'engine/compiled/training-graph',
].map((name) => `/test/${name}.test.${extension}`);

function place(file) {
  const index = LONGEST.findIndex((name) => file.endsWith(name));
  return index < 0 ? LONGEST.length : index;
}

// Tests run in child processes (workerThreads: false): native addons and the TypeScript loader both need it.
export default {
  files: FILES[process.env.IP_DIFFUSION_TESTS ?? 'all'],
  extensions: isCompiled ? ['js'] : { ts: 'module' },
  require: [`./test/setup/source-maps.${extension}`, `./test/setup/refused-fields.${extension}`],
  nodeArguments: isCompiled ? [] : ['--import=tsx'],
  workerThreads: false,
  // What TensorFlow and plugins of devices write about the processor hides what tests write.
  // Each service of a test would start an engine to see that it can.
  // A card of this machine is used by tests that name it.
  environmentVariables: {
    TF_CPP_MIN_LOG_LEVEL: '2',
    IP_DIFFUSION_ENGINE_CHECK: 'off',
    IP_DIFFUSION_DEVICE: 'cpu',
  },
  // More than there are processors: many tests wait for processes of their own, or for a time to pass.
  concurrency: 2 * availableParallelism() + 1,
  timeout: '3m',
  sortTestFiles: (a, b) => place(a) - place(b),
};
