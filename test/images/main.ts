/**
 * `npm run test:images`: builds the images, trains and samples with containers of them, and restarts one replica of the
 * sampler after the other under load. `-- --built` takes the images of the last run, `-- --cuda` builds those with NVIDIA's
 * libraries too. Needs podman, buildah and runc, and as root debootstrap where no base is named
 * (Debian: apt-get install podman buildah runc debootstrap).
 */
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { pause } from '../../shared/foundation/index.js';
import { connectSampler } from '../../shared/rpc/index.js';
import { makeFolders, tinyRecipe } from '../integration/trainer-fixture.js';
import { freePort } from '../minio-server.js';
import { startTemporal } from '../pipelines/temporal-server.js';
import { buildImages, imageOf, runOptions, targetsOf, type Target } from './build.js';
import { podman } from './programs.js';
import { sampleImage, type Sampled } from './resuming-client.js';

const MIB = 2 ** 20;
const LOADS = 4;
const STEPS = 40;
const HEALTHY_TRIES = 300;
const STOP_SECONDS = '60';

const containers: string[] = [];
const folders = await makeFolders();
// Writable for the containers' user, which this machine does not know.
const shared = await mkdtemp(join(tmpdir(), 'images-test-'));
try {
  await checkImages();
  const trainer = await freePort();
  const samplers = [await freePort(), await freePort()] as const;
  await prepareFolders();
  await startService('trainer', 'trainer', trainer);
  await trainWith(trainer);
  for (const [i, port] of samplers.entries()) await startService('sampler', `sampler-${i}`, port);
  await sampleWith(samplers[0]);
  await pipeWith(samplers);
  await restartUnderLoad(samplers);
} finally {
  for (const name of containers) await podman('rm', '--force', '--time', '5', name).catch(console.error);
  await folders.remove();
  await rm(shared, { recursive: true, force: true });
}
console.log('test:images passed');

async function checkImages(): Promise<void> {
  const targets = targetsOf(process.argv);
  if (!process.argv.includes('--built')) await buildImages(targets);
  for (const target of targets) {
    const bytes = Number(await podman('image', 'inspect', '--format', '{{.Size}}', imageOf(target)));
    console.log(`${target}: ${Math.round(bytes / MIB)} MiB`);
  }
  const inspect = (format: string) => podman('image', 'inspect', '--format', format, imageOf('sampler'));
  assert.equal(await inspect('{{.Config.User}}'), '65532:65532');
  assert.match(
    await inspect('{{json .Config.Labels}}'),
    /"org.opencontainers.image.revision":"[0-9a-f]{40}"/,
  );
  assert.match(await inspect('{{json .HealthCheck}}'), /health\.mjs/);
  const inside = (...command: string[]) =>
    podman(
      'run',
      '--rm',
      ...runOptions(),
      '--entrypoint',
      command[0] ?? '',
      imageOf('cli'),
      ...command.slice(1),
    );
  for (const compiler of ['g++', 'gcc', 'cc', 'npm', 'python3'])
    await assert.rejects(inside('which', compiler), `${compiler} is in the image`);
  const bill = JSON.parse(await inside('cat', '/app/sbom.cdx.json')) as { components: { name: string }[] };
  const names = new Set(bill.components.map(({ name }) => name));
  for (const wanted of ['@grpc/grpc-js', 'sharp', 'tensorflow-cpu']) assert(names.has(wanted), wanted);
  for (const unwanted of ['ava', 'typescript']) assert(!names.has(unwanted), unwanted);
  const doctor = await podman('run', '--rm', ...runOptions(), imageOf('cli'), 'doctor');
  console.log(doctor);
  assert.match(doctor, /kernels +the engine's own are in use, built for x86-64-v/);
  await assert.rejects(
    podman('run', '--rm', ...runOptions(), imageOf('sampler')),
    /IP_DIFFUSION_TLS_CERT_FILE/,
    'an image without TLS listens on a network',
  );
}

async function prepareFolders(): Promise<void> {
  for (const name of ['store', 'cache', 'work']) {
    await mkdir(join(shared, name), { recursive: true });
    await chmod(join(shared, name), 0o777);
  }
  for (const folder of [shared, folders.root, folders.images]) await chmod(folder, 0o755);
  const recipe = JSON.stringify(tinyRecipe('/images'));
  await writeFile(join(shared, 'work', 'recipe.json'), recipe);
}

async function startService(target: Target, name: string, port: number): Promise<void> {
  const container = `ip-diffusion-test-${name}`;
  const upper = target.toUpperCase();
  containers.push(container);
  await podman(
    ...['run', '--detach', '--name', container, ...runOptions()],
    ...['--env', `IP_DIFFUSION_${upper}_ADDRESS=127.0.0.1:${port}`],
    ...['--volume', `${join(shared, 'store')}:/var/lib/ip-diffusion`],
    ...['--volume', `${folders.images}:/images:ro`],
    imageOf(target),
  );
  await untilHealthy(container, target);
}

/** By the image's own health command. */
async function untilHealthy(container: string, target: Target): Promise<void> {
  for (let attempt = 0; attempt < HEALTHY_TRIES; attempt++) {
    const healthy = await podman('exec', container, 'node', '/app/health.mjs', target).then(
      () => true,
      () => false,
    );
    if (healthy) return;
    await pause(200);
  }
  throw new Error(`${container} is not healthy: ${await podman('logs', container)}`);
}

function cli(...args: readonly string[]): Promise<string> {
  return podman(
    ...['run', '--rm', ...runOptions(), '--volume', `${join(shared, 'work')}:/work`],
    ...[imageOf('cli'), ...args],
  );
}

async function trainWith(port: number): Promise<void> {
  const at = ['--address', `127.0.0.1:${port}`];
  console.log(await cli('train', '--recipe', 'recipe.json', '--name', 'tiny', ...at));
}

async function sampleWith(port: number): Promise<void> {
  const at = ['--address', `127.0.0.1:${port}`];
  await cli('sample', 'tiny', '--count', '4', '--steps', '5', '--output', 'samples', ...at);
  const files = await readdir(join(shared, 'work', 'samples'));
  assert.equal(files.filter((file) => /^tiny-0-\d+\.png$/.test(file)).length, 4, files.join(', '));
  console.log(`sampled ${files.join(', ')}`);
}

/** A pipeline by a worker in a container, which writes into the folder that it shares with the command line. */
async function pipeWith(ports: readonly number[]): Promise<void> {
  const temporal = await startTemporal();
  if (temporal === undefined) {
    console.log('no pipeline: Go is missing, which builds the Temporal server');
    return;
  }
  const at = ['--temporal', temporal.address];
  const options = [...runOptions(), '--volume', `${join(shared, 'work')}:/work`];
  const pipeline = (...words: string[]): Promise<string> =>
    podman('run', '--rm', ...options, imageOf('pipeline-worker'), 'pipeline', ...words, ...at);
  try {
    const container = 'ip-diffusion-test-pipeline-worker';
    containers.push(container);
    const servers = ports.flatMap((port) => ['--server', `127.0.0.1:${port}`]);
    await podman(
      ...['run', '--detach', '--name', container, ...options, imageOf('pipeline-worker')],
      ...['pipeline', 'worker', ...at, ...servers],
    );
    const plan = ['--count', '24', '--shard-size', '4', '--steps', '5', '--out', '/work/piped'];
    const submitted = await pipeline('submit', 'tiny', ...plan, '--json');
    const { id } = JSON.parse(submitted) as { id: string };
    console.log(await pipeline('watch', id));
    console.log(await cli('batch', 'verify', 'piped'));
  } finally {
    await temporal.stop();
  }
}

/** No call of a client may fail, and no image may have other bytes than in a call without a restart. */
async function restartUnderLoad(ports: readonly number[]): Promise<void> {
  const clients = ports.map((port) => connectSampler(`127.0.0.1:${port}`));
  const sample = (seed: number, first: number): Promise<Sampled> =>
    sampleImage(clients, first, { model: 'tiny', seed: BigInt(seed), steps: STEPS });
  let restarting = true;
  const began = performance.now();
  const sampled = new Map<number, Sampled>();
  const load = async (which: number): Promise<void> => {
    for (let seed = which; restarting; seed += LOADS) sampled.set(seed, await sample(seed, which));
  };
  const loads = Promise.all(Array.from({ length: LOADS }, (_, which) => load(which)));
  for (const i of ports.keys()) {
    await pause(1000);
    const container = `ip-diffusion-test-sampler-${i}`;
    await podman('stop', '--time', STOP_SECONDS, container);
    await podman('start', container);
    await untilHealthy(container, 'sampler');
  }
  await pause(1000);
  restarting = false;
  await loads;
  const seconds = (performance.now() - began) / 1000;
  const all = [...sampled.values()];
  const sum = (of: (each: Sampled) => number): number => all.reduce((total, each) => total + of(each), 0);
  const [interrupted, resumed] = [sum((each) => each.interrupted), sum((each) => each.resumed)];
  assert(interrupted > 0, 'no call saw a restart');
  for (const [seed, { image, interrupted: times }] of sampled) {
    if (times === 0) continue;
    const { image: alone } = await sample(seed, 0);
    assert(image.equals(alone), `the image of seed ${seed} has other bytes`);
  }
  console.log(
    `${LOADS} clients: ${all.length} images in ${seconds.toFixed(0)} s, ${interrupted} refused or ended calls, ${resumed} resumed by token, none failed`,
  );
  for (const client of clients) client.close();
}
