/**
 * Every npm script starts here. It runs on a fresh clone, so it needs only Node: it installs the packages where they are
 * missing or older than the lockfile, runs the set-up, and then the command that was asked for.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HELP = `npm run setup [-- options]

Prepares this checkout: npm packages, TensorFlow's native library (downloaded through pip, kept in a cache that
all checkouts share), its Node addon, generated code, and the build. What is done already is skipped.

  --portable    compile the engine's kernels for several levels of processors, as for an image, and not for this one
  --device NAME also download the PJRT plugin of a device: cuda (2.1 GB, NVIDIA's cards, Linux on x64; untried),
                cpu-pjrt (63 MB; XLA on the processor, for tests)
  --extractor   also download EfficientNet-Lite0 (17 MB), by whose features \`measure quality\` compares images
  --temporal    also install Temporal's packages (260 MB), for ip-diffusion pipeline
  --skip-build  don't compile to dist/
  --test-build  also transpile code and tests to .setup/tests
  --test-tools  also provide what the tests need: XLA's CPU plugin (63 MB), the MinIO server, grpcurl and a client in
                Go (these need Go), and environments of Python
  --help        show this

Environment:
  IP_DIFFUSION_CACHE             the shared cache; default: ip-diffusion in the user's cache folder
  IP_DIFFUSION_DOWNLOADS         where --device and --temporal put what they download; default: the shared cache
  IP_DIFFUSION_LIBTENSORFLOW     a folder with a libtensorflow of your own, instead of the download
  IP_DIFFUSION_PREBUILT          a folder that \`npm run prebuilt -- DIR\` has made on a machine with a compiler: what is
                                 in it need not be compiled; default: prebuilt, where the checkout has such a folder
  CXX                            the C++ compiler; default: g++, c++ or clang++
`;

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const bin = (path) => [process.execPath, join('node_modules', path)];
const tsx = [process.execPath, '--import=tsx'];
const ava = bin('ava/entrypoints/cli.mjs');
const compiled = (args) => args.map((arg) => arg.replace(/\.test\.ts$/, '.test.js'));
const buf = bin('@bufbuild/buf/bin/buf');

const COMPILED_TESTS = '.setup/tests';

/** What is run over a second S3 server. */
const S3_TESTS = [
  'test/store/{store.minio,file-source}.test.ts',
  'test/faults/store-outages.long.test.ts',
  'test/integration/trainer-{minio,bucket}.long.test.ts',
];

/** What is run on XLA's CPU plugin. */
const PJRT_TESTS = [
  'test/device/*.test.ts',
  'test/engine/pjrt/*.test.ts',
  'test/golden/*.test.ts',
  'test/integration/{pair,device-slots}.test.ts',
];

/** What `--then` runs, in turn, in which folder, the options that its set-up takes, and what is added to the environment. */
const COMMANDS = {
  demo: { setup: [], run: (args) => [[process.execPath, 'dist/services/cli/main.js', 'demo', ...args]] },
  test: suite('short'),
  // Whole trainings of every variant, other builds of the services, layers of full size, memory over many steps.
  'test:long': suite('long'),
  'test:faults': {
    setup: ['--skip-build', '--test-build', '--test-tools'],
    run: (args) => [[...tsx, 'test/faults/main.ts', ...args]],
  },
  'test:golden': {
    setup: ['--skip-build', '--test-build'],
    folder: COMPILED_TESTS,
    run: (args) => [[...ava, 'test/golden/**/*.test.js', ...compiled(args)]],
  },
  'test:kernels': {
    setup: ['--skip-build'],
    environment: { IP_DIFFUSION_TEST_KERNELS: 'all' },
    // A layer may take a minute on two cores.
    run: (args) => [
      [...ava, '--timeout=30m', 'test/engine/compiled/{preset-*,threads.long}.test.ts', ...args],
    ],
  },
  'test:pjrt': {
    setup: ['--skip-build', '--device', 'cpu-pjrt'],
    environment: { IP_DIFFUSION_TEST_PJRT: 'all' },
    run: (args) =>
      args.includes('--compile-only')
        ? [[...tsx, 'test/device/compile-for-card.ts', ...args]]
        : [[...ava, '--timeout=30m', ...(args.length > 0 ? args : PJRT_TESTS)]],
  },
  'test:device': { setup: ['--skip-build'], run: (args) => [[...tsx, 'test/device/main.ts', ...args]] },
  'test:stores': {
    setup: ['--skip-build', '--test-tools'],
    environment: { IP_DIFFUSION_TEST_S3: 'versitygw' },
    run: (args) => [[...ava, ...(args.length > 0 ? args : S3_TESTS)]],
  },
  'test:pipelines': {
    setup: ['--skip-build', '--test-tools', '--temporal'],
    environment: { IP_DIFFUSION_TEST_PIPELINES: 'all' },
    // 5,000 images twice, with a minute in which nothing comes.
    run: (args) => [
      [...ava, '--timeout=60m', 'test/{batch/killed-workers.long,pipelines/*}.test.ts', ...args],
    ],
  },
  'test:presets': { setup: ['--skip-build'], run: (args) => [[...tsx, 'test/presets/main.ts', ...args]] },
  'test:deploy': {
    setup: ['--skip-build'],
    run: (args) => [[...tsx, 'test/deploy/tools/main.ts', ...args]],
  },
  'test:images': { setup: ['--skip-build'], run: (args) => [[...tsx, 'test/images/main.ts', ...args]] },
  prebuilt: {
    setup: ['--skip-build', '--portable'],
    run: (args) => [[...tsx, 'deploy/setup/prebuilt-main.ts', ...args]],
  },
  docs: { setup: ['--skip-build'], run: () => [[...tsx, 'deploy/docs/main.ts']] },
  bench: { setup: ['--skip-build'], run: (args) => [[...tsx, 'test/bench/main.ts', ...args]] },
  soak: {
    setup: ['--skip-build', '--test-build'],
    folder: COMPILED_TESTS,
    run: (args) => [[process.execPath, 'test/soak/main.js', ...args]],
  },
  study: { setup: ['--skip-build'], run: (args) => [[...tsx, 'studies/main.ts', ...args]] },
  interop: { setup: ['--skip-build'], run: () => [[...tsx, 'test/interop/main.ts']] },
  check: {
    setup: ['--skip-build'],
    run: () => [
      [...bin('typescript/bin/tsc'), '--noEmit'],
      [...bin('eslint/bin/eslint.js'), '.'],
      [...bin('prettier/bin/prettier.cjs'), '--check', '--log-level=warn', '.'],
      [
        ...bin('dependency-cruiser/bin/dependency-cruise.mjs'),
        '--config',
        '.dependency-cruiser.cjs',
        'shared',
        'services',
      ],
      [...bin('knip/bin/knip.js')],
      [...buf, 'lint', 'proto'],
      ...(existsSync(join(root, 'proto/baseline.binpb'))
        ? [[...buf, 'breaking', 'proto', '--against', 'proto/baseline.binpb']]
        : []),
    ],
  },
};

/** Compiled tests; a file that is named is run whichever suite it belongs to. */
function suite(name) {
  return {
    setup: ['--skip-build', '--test-build', '--test-tools'],
    folder: COMPILED_TESTS,
    run: (args) => {
      process.env.IP_DIFFUSION_TESTS = args.some((arg) => arg.includes('.test.')) ? 'all' : name;
      return [[...ava, ...compiled(args)]];
    },
  };
}

let child;
let interrupted = false;
// Ctrl-C reaches the child from the terminal, but a signal to this process alone does not. The child gets SIGTERM, once:
// a second SIGINT could be mistaken for a second Ctrl-C of the user.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    if (!interrupted) child?.kill('SIGTERM');
    interrupted = true;
  });
}

process.exitCode = await main(process.argv.slice(2));

async function main(args) {
  const then = args.indexOf('--then');
  const options = then < 0 ? args : args.slice(0, then);
  const name = then < 0 ? undefined : args[then + 1];
  const rest = then < 0 ? [] : args.slice(then + 2);
  if (options.includes('--help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const unknown = options.find(
    (option, i) => options[i - 1] !== '--device' && !HELP.includes(`\n  ${option} `),
  );
  if (unknown !== undefined) return fail(`unknown option ${unknown}`, 'npm run setup -- --help lists them');
  const command = name === undefined ? { setup: [], run: () => [] } : COMMANDS[name];
  if (command === undefined)
    return fail(`unknown command ${name}`, `use one of ${Object.keys(COMMANDS).join(', ')}`);

  Object.assign(process.env, command.environment);

  const { node } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines;
  const [, neededMajor, neededMinor] = node.match(/^>=(\d+)\.(\d+) /).map(Number);
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
    return fail(`Node ${node} is needed; this is ${process.version}`, 'see https://nodejs.org, or use nvm');
  }
  return (
    (await installPackages()) ||
    (await run([...tsx, 'deploy/setup/setup.ts', ...options, ...command.setup])) ||
    (await runAll(command.run(rest), command.folder))
  );
}

/** Runs `npm ci` unless it has completed for this lockfile; npm ci empties node_modules, and so removes the stamp. */
async function installPackages() {
  const stamp = join(root, 'node_modules', '.ip-diffusion-lock');
  const lockfile = readFileSync(join(root, 'package-lock.json'));
  const wanted = createHash('sha256')
    .update(`${process.platform} ${process.arch}\n`)
    .update(lockfile)
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return 0;
  console.log('setup: installing npm packages');
  // Under `npm run`, the npm that runs; else the one on the path.
  const npm = process.env.npm_execpath?.endsWith('.js')
    ? [process.execPath, process.env.npm_execpath]
    : ['npm'];
  const code = await run([...npm, 'ci', '--include=dev', '--no-progress']);
  if (code !== 0)
    return interrupted
      ? code
      : fail('npm ci failed', "check the network and npm's registry (npm config get registry)", code);
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, wanted);
  return 0;
}

/** Runs every command, even after one that failed, and returns the first failure's exit code. */
async function runAll(commands, folder) {
  let first = 0;
  const failed = [];
  for (const command of commands) {
    if (commands.length > 1) console.log(`\n> ${shortName(command)}`);
    const code = await run(command, folder);
    if (interrupted) return code;
    if (code !== 0) failed.push(shortName(command));
    first ||= code;
  }
  if (commands.length > 1)
    console.log(failed.length > 0 ? `\nfailed: ${failed.join(', ')}` : '\nall checks passed');
  return first;
}

function shortName([, program, ...args]) {
  return [program.replace(/^.*\/([^/.]+)[^/]*$/, '$1'), ...args].join(' ');
}

/** Runs one command on this terminal and returns its exit code. */
function run([command, ...args], folder = '.') {
  if (interrupted) return Promise.resolve(130);
  return new Promise((settle) => {
    child = spawn(command, args, { cwd: join(root, folder), stdio: 'inherit' });
    child.on('error', (error) => settle(fail(`${command} does not start: ${error.message}`, 'install it')));
    child.on('close', (code, signal) => settle(signal === null ? code : 128 + constants.signals[signal]));
  });
}

function fail(message, remedy, code = 1) {
  console.error(`\nsetup: ${message}\nsetup: to remedy it: ${remedy}`);
  return code;
}
