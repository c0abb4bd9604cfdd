/**
 * The services of deploy/compose/compose.yaml as plain processes with the same settings, keys and policies: where a
 * name of its network or a path of its containers stands, the same on this machine.
 */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { parse } from 'yaml';

import { testTool } from '../../../deploy/setup/test-tools.js';
import { pause } from '../../../shared/foundation/index.js';
import { connectSampler, connectTrainer } from '../../../shared/rpc/index.js';
import { samplingWire } from '../../../shared/contract/index.js';
import { storeFromSettings, storeSettings } from '../../../shared/store/index.js';
import { makeFolders, tinyRecipe, train } from '../../integration/trainer-fixture.js';
import { freePort } from '../../minio-server.js';
import { programArguments, ROOT } from '../../programs.js';
import { generate, generated } from '../../sampler-service/sampler-fixture.js';

const FOLDER = join(ROOT, 'deploy/compose');
const HEALTH = join(ROOT, 'deploy/images/health.mjs');
const TRIES = 300;
const RETRY_MS = 200;

interface Service {
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

interface Compose {
  readonly services: Readonly<
    Record<'keys' | 'bucket' | 's3' | 'trainer' | 'sampler' | 'prometheus', Service>
  >;
}

/** @throws AssertionError, or Error where something does not start. */
export async function checkCompose(prometheus: string): Promise<string> {
  const versitygw = await testTool('versitygw');
  assert(versitygw !== undefined, 'Go is missing, which builds the S3 server');
  const { services } = parse(await readFile(join(FOLDER, 'compose.yaml'), 'utf8'), {
    merge: true,
  }) as Compose;
  const folders = await makeFolders();
  const scratch = await mkdtemp(join(tmpdir(), 'compose-'));
  const ports = new Map<string, number>();
  for (const port of ['7070', '50061', '50062', '9464', '9465', '9090']) ports.set(port, await freePort());
  for (const name of ['keys', 'objects', 'cache', 'metrics', 'side']) await mkdir(join(scratch, name));
  const children: ChildProcess[] = [];

  /** What stands in the files, on this machine. */
  function here(text: string): string {
    const named = text
      .replaceAll(
        /(?:\b(?:s3|trainer|sampler|0\.0\.0\.0)|(?<![\d.]))(:)(7070|50061|50062|9464|9465)\b/g,
        (_, colon, port) => `127.0.0.1${colon}${ports.get(String(port))}`,
      )
      .replaceAll('/app/prepare.mjs', join(FOLDER, 'prepare.mjs'))
      .replaceAll(/\/(?:shared\/keys|keys\/keys)/g, join(scratch, 'keys'))
      .replaceAll('/objects', `--sidecar ${join(scratch, 'side')} ${join(scratch, 'objects')}`)
      .replaceAll('/images', folders.images)
      .replaceAll('/etc/prometheus/rules.json', join(ROOT, 'deploy/prometheus/rules.json'))
      .replaceAll('exec versitygw', `exec ${versitygw}`)
      .replaceAll('$$', '$');
    return named === 's3' ? '127.0.0.1' : named === '7070' ? String(ports.get(named)) : named;
  }

  const environmentOf = ({ environment = {} }: Service): NodeJS.ProcessEnv => ({
    ...process.env,
    ...Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, here(value)])),
  });

  function start(command: string, args: readonly string[], env: NodeJS.ProcessEnv): void {
    children.push(spawn(command, [...args], { env, stdio: ['ignore', 'ignore', 'inherit'] }));
  }

  function startListed(service: Service): void {
    const [command = '', ...args] = (service.entrypoint ?? []).map(here);
    start(command, args, environmentOf(service));
  }

  async function runListed(service: Service): Promise<void> {
    const [command = '', ...args] = (service.entrypoint ?? []).map(here);
    const child = spawn(command, args, { env: environmentOf(service), stdio: 'inherit' });
    const [code] = (await once(child, 'exit')) as [number | null];
    assert.equal(code, 0, args.join(' '));
  }

  const addressOf = (name: 'trainer' | 'sampler'): string =>
    here(`0.0.0.0:${name === 'trainer' ? 50061 : 50062}`);

  function startOurs(name: 'trainer' | 'sampler'): void {
    // The images' own settings, of deploy/images/Dockerfile.
    const image = {
      [`IP_DIFFUSION_${name.toUpperCase()}_ADDRESS`]: addressOf(name),
      IP_DIFFUSION_CACHE: join(scratch, 'cache'),
      IP_DIFFUSION_LOG_LEVEL: 'error',
    };
    const module = name === 'trainer' ? '../../../services/trainer/main' : '../../../services/sampler/main';
    const env = { ...environmentOf(services[name]), ...image };
    start(process.execPath, programArguments(import.meta.url, module), env);
  }

  try {
    await runListed(services.keys);
    startListed(services.s3);
    await runListed(services.bucket);
    startOurs('trainer');
    startOurs('sampler');
    const configuration = here(await readFile(join(FOLDER, 'prometheus.yaml'), 'utf8'));
    const file = join(scratch, 'prometheus.yaml');
    // So that two readings come soon.
    await writeFile(file, configuration.replaceAll('15s', '1s'));
    const web = `127.0.0.1:${ports.get('9090')}`;
    const storage = join(scratch, 'metrics');
    start(
      prometheus,
      [
        `--config.file=${file}`,
        `--storage.tsdb.path=${storage}`,
        `--web.listen-address=${web}`,
        '--log.level=error',
      ],
      process.env,
    );

    const trainer = connectTrainer(here('trainer:50061'));
    const sampler = connectSampler(here('sampler:50062'));
    await until('the trainer', () => answers(trainer));
    await until('the sampler', () => answers(sampler));
    for (const name of ['trainer', 'sampler'] as const)
      await until(`the ${name} is ready`, () => isReady(name, addressOf(name)));
    const job = await train(trainer, tinyRecipe(folders.images, { name: 'composed' }));
    const settings = samplingWire.SamplerSettings.create({ timesteps: { $case: 'steps', value: 5 } });
    const { images } = await generated(generate(sampler, { model: 'composed', count: 2, settings }));
    assert.equal(images.size, 2);
    trainer.close();
    sampler.close();

    const asked = async (query: string): Promise<string[]> => {
      const answer = await fetch(`http://${web}/api/v1/query?query=${encodeURIComponent(query)}`).catch(
        () => undefined,
      );
      if (answer?.ok !== true) return [];
      const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
      return data.result.map(({ value }) => value[1]);
    };
    await until(
      'Prometheus reads both',
      async () => (await asked('up{job="ip-diffusion"}')).join() === '1,1',
    );
    await until(
      'the images are counted',
      async () => (await asked('sum(ip_diffusion_sampler_images_total)'))[0] === '2',
    );
    const rules = (await (await fetch(`http://${web}/api/v1/rules`)).json()) as {
      data: { groups: unknown[] };
    };
    assert.equal(rules.data.groups.length, 1);

    const store = await storeFromSettings(storeSettings(environmentOf(services.sampler)));
    const refused = await store
      .put('models/forged', Buffer.from('x'), { signal: new AbortController().signal })
      .then(
        () => undefined,
        (error: unknown) => String(error),
      );
    await store.close();
    assert.match(refused ?? '', /refuses these credentials/, "the sampler's key can write");
    return `trained ${job.jobId}, sampled ${images.size} images, Prometheus reads both services, and the sampler's key can't write`;
  } finally {
    for (const child of children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    await folders.remove();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Whether a connection comes about soon. */
function answers(client: Pick<ReturnType<typeof connectTrainer>, 'waitForReady'>): Promise<boolean> {
  return new Promise((settle) => {
    client.waitForReady(Date.now() + RETRY_MS, (error) => {
      settle(error === undefined);
    });
  });
}

/** By the health command of the images. */
async function isReady(name: 'trainer' | 'sampler', address: string): Promise<boolean> {
  const env = { ...process.env, [`IP_DIFFUSION_${name.toUpperCase()}_ADDRESS`]: address };
  const child = spawn(process.execPath, [HEALTH, name], { env, stdio: 'ignore' });
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === 0;
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    if (await holds()) return;
    await pause(RETRY_MS);
  }
  throw new Error(`waited in vain: ${what}`);
}
