/** What a user of grpcurl without our proto files sees: every service lists, describes and answers by reflection. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import test from 'ava';

import { GO_MISSING, testTool } from '../../deploy/setup/test-tools.js';
import { serviceLog, type RunningService } from '../../shared/rpc/index.js';
import { readSettings as samplerSettings } from '../../services/sampler/config.js';
import { startSampler } from '../../services/sampler/start-sampler.js';
import { readSettings as trainerSettings } from '../../services/trainer/config.js';
import { startTrainer } from '../../services/trainer/start-trainer.js';

const run = promisify(execFile);
const log = serviceLog('test', 'silent');
const services = new Map<string, RunningService>();
let folder = '';
let grpcurl: string | undefined;

test.before(async (t) => {
  grpcurl = await testTool('grpcurl');
  if (grpcurl === undefined) t.log(GO_MISSING);
  folder = await mkdtemp(join(tmpdir(), 'reflection-'));
  const env = {
    IP_DIFFUSION_STORE: join(folder, 'store'),
    IP_DIFFUSION_CACHE: join(folder, 'cache'),
    IP_DIFFUSION_TRAINER_ADDRESS: '127.0.0.1:0',
    IP_DIFFUSION_SAMPLER_ADDRESS: '127.0.0.1:0',
  };
  const settings = { ...env, IP_DIFFUSION_ENGINE_CHECK: 'off' };
  services.set('diffusion.trainer.v1.TrainerService', await startTrainer(trainerSettings(settings), log));
  services.set('diffusion.sampler.v1.SamplerService', await startSampler(samplerSettings(settings), log));
});

test.after.always(async () => {
  await Promise.all([...services.values()].map((service) => service.stop()));
  await rm(folder, { recursive: true, force: true });
});

async function ask(service: string, ...args: readonly string[]): Promise<string | undefined> {
  if (grpcurl === undefined) return undefined;
  const address = `127.0.0.1:${services.get(service)?.port ?? 0}`;
  const options = args.filter((arg) => arg.startsWith('{')).flatMap((json) => ['-d', json]);
  const words = args.filter((arg) => !arg.startsWith('{'));
  const { stdout } = await run(grpcurl, ['-plaintext', ...options, address, ...words]);
  return stdout;
}

const CALLS: readonly [service: string, method: string, answer: RegExp][] = [
  ['diffusion.trainer.v1.TrainerService', 'ListTrainingJobs', /^\{\s*\}\s*$/],
  ['diffusion.sampler.v1.SamplerService', 'ListModels', /^\{\s*\}\s*$/],
];

for (const [service, method, answer] of CALLS) {
  test(`${service} lists, describes and answers by reflection alone`, async (t) => {
    const listed = await ask(service, 'list');
    if (listed === undefined) {
      t.pass(GO_MISSING);
      return;
    }
    t.true(listed.includes(service));
    t.true(listed.includes('grpc.health.v1.Health'));
    const described = await ask(service, 'describe', `${service}.${method}`);
    t.regex(described ?? '', new RegExp(`rpc ${method} `));
    t.regex((await ask(service, `${service}/${method}`)) ?? '', answer);
    t.regex((await ask(service, 'describe', 'grpc.health.v1.HealthListResponse')) ?? '', /map</);
  });

  test(`${service} says that it serves, and NOT_FOUND for a name it doesn't know`, async (t) => {
    const check = () => ask(service, `{"service": "${service}"}`, 'grpc.health.v1.Health/Check');
    let health = await check();
    // Until the store has been listed.
    while (health?.includes('NOT_SERVING') === true) health = await check();
    if (health === undefined) {
      t.pass(GO_MISSING);
      return;
    }
    t.regex(health, /"SERVING"/);
    await t.throwsAsync(ask(service, '{"service": "nobody"}', 'grpc.health.v1.Health/Check'), {
      message: /NotFound/,
    });
  });
}
