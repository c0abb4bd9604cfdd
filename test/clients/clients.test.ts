/** Clients of plain protoc in several languages train and sample, and find what our own client finds. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import test from 'ava';

import { standaloneContext } from '../../deploy/setup/context.js';
import { TEST_CLIENTS, type ClientProgram } from '../../deploy/setup/test-clients.js';
import { GO_MISSING } from '../../deploy/setup/test-tools.js';
import { readSettings } from '../../services/sampler/config.js';
import { startSampler } from '../../services/sampler/start-sampler.js';
import { ImageAssembly, samplerWire, samplingWire, trainerWire } from '../../shared/contract/index.js';
import { callStream, callUnary, connectSampler, serviceLog } from '../../shared/rpc/index.js';
import { storeSettings } from '../../shared/store/index.js';
import { makeFolders, openTrainer, settingsFor, terminalOf, watch } from '../integration/trainer-fixture.js';
import { programArguments } from '../programs.js';
import { generate, generated } from '../sampler-service/sampler-fixture.js';

/** What a client prints. */
interface Found {
  readonly job: string;
  readonly repeatedJob: string;
  readonly model: string;
  readonly state: string;
  readonly states: readonly string[];
  readonly checkpoints: readonly number[];
  readonly refusal: unknown;
  readonly models: unknown;
  readonly checkpoint: unknown;
  readonly images: readonly string[];
  readonly latents: readonly string[];
}

const SEED = 2n ** 64n - 1n;
const INVALID_ARGUMENT = 3;
const TWO_STEPS = samplingWire.SamplerSettings.create({ timesteps: { $case: 'steps', value: 2 } });

const folders = await makeFolders();
const environment = { IP_DIFFUSION_STORE: join(folders.root, 'store') };
const trainer = await openTrainer(settingsFor(folders, storeSettings(environment, '')));
const service = await startSampler(
  { ...readSettings({ ...process.env, ...environment }), address: '127.0.0.1:0' },
  serviceLog('test', 'silent'),
);
const samplerAddress = `127.0.0.1:${service.port}`;
const sampler = connectSampler(samplerAddress);

test.after.always(async () => {
  sampler.close();
  await service.stop();
  await trainer.stop();
  await folders.remove();
});

const CLIENTS = {
  ...TEST_CLIENTS,
  TypeScript: () =>
    Promise.resolve({
      command: process.execPath,
      args: programArguments(import.meta.url, './typescript/client'),
      environment: {},
    }),
};

for (const [name, find] of Object.entries(CLIENTS)) {
  test.serial(`a client in ${name} trains, is refused, and samples the same images as ours`, async (t) => {
    t.timeout(600_000);
    const program = await find(standaloneContext());
    if (program === undefined) {
      t.log(GO_MISSING);
      t.pass();
      return;
    }
    const found = await runClient(program);
    t.deepEqual(found, await expected(found.job));
    t.is(found.state, 'JOB_STATE_SUCCEEDED');
    t.deepEqual(found.checkpoints, [2, 4]);
    t.is(new Set([...found.images, ...found.latents]).size, 3);
  });
}

async function runClient({ command, args, environment }: ClientProgram): Promise<Found> {
  const { stdout } = await promisify(execFile)(
    command,
    [...args, trainer.address, samplerAddress, folders.images],
    { env: { ...process.env, ...environment } },
  );
  return JSON.parse(stdout) as Found;
}

/** What our own client finds of the same job and model. */
async function expected(jobId: string): Promise<Found> {
  const messages = await watch(trainer.client, jobId);
  const events = messages.flatMap(({ event }) => event ?? []);
  const job = terminalOf(messages);
  const { model } = job;
  const { checkpoint } = await callUnary(sampler, sampler.getCheckpoint, {
    model,
    checkpointStep: undefined,
  });
  const { images } = await generated(
    generate(sampler, {
      model,
      count: 2,
      seed: SEED,
      settings: TWO_STEPS,
      format: samplingWire.ImageFormat.IMAGE_FORMAT_RAW_FLOAT32,
    }),
  );
  return {
    job: jobId,
    repeatedJob: jobId,
    model,
    state: trainerWire.jobStateToJSON(job.state),
    states: events.flatMap((event) =>
      event.$case === 'stateChanged' ? [trainerWire.jobStateToJSON(event.value.state)] : [],
    ),
    checkpoints: events.flatMap((event) => (event.$case === 'checkpointCommitted' ? [event.value.step] : [])),
    refusal: {
      code: INVALID_ARGUMENT,
      reason: 'RECIPE_INVALID',
      domain: 'diffusion.trainer.v1.TrainerService',
      fields: ['recipe.training.steps'],
    },
    models: [{ name: model, steps: [4, 2] }],
    checkpoint: { step: 4, sha256: checkpoint?.manifestSha256 },
    images: [...images.values()].map(sha256),
    latents: await ourLatents(model),
  };
}

async function ourLatents(model: string): Promise<string[]> {
  const [first = ''] = (await readdir(folders.images)).sort();
  const request = samplerWire.EncodeRequest.create({
    model,
    images: [await readFile(join(folders.images, first))],
    settings: TWO_STEPS,
  });
  const assembly = new ImageAssembly();
  const latents: string[] = [];
  for await (const { event } of callStream(sampler, sampler.encode, request)) {
    if (event?.$case !== 'latent' || event.value.chunk === undefined) continue;
    const bytes = assembly.add(event.value.chunk);
    if (bytes !== undefined) latents.push(sha256(bytes));
  }
  return latents;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
