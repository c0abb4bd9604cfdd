/** What the trainer's tests share: a tiny data set, a recipe that trains in moments, a service with its client. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import pino from 'pino';

import { callStream, callUnary, connectTrainer } from '../../shared/rpc/index.js';
import { errorsWire, recipeToWire, trainerWire } from '../../shared/contract/index.js';
import { deferred } from '../../shared/foundation/index.js';
import { deriveKey, randomStream } from '../../shared/random/index.js';
import { encodeImage } from '../../shared/images/index.js';
import { listCommits, readCommit, readObject } from '../../shared/models/index.js';
import { storeFromSettings, type ObjectStore, type StoreSettings } from '../../shared/store/index.js';
import { decodeManifest } from '../../shared/checkpoint/index.js';
import { recipeFormat, type PartialRecipe } from '../../shared/recipe/index.js';
import { readSettings, type TrainerSettings } from '../../services/trainer/config.js';
import { startTrainer } from '../../services/trainer/start-trainer.js';
import { programArguments } from '../programs.js';

export type Client = ReturnType<typeof connectTrainer>;
export type Job = trainerWire.TrainingJob;
export type Message = trainerWire.WatchTrainingJobResponse;
export type Event = NonNullable<Message['event']>;
export const { JobState } = trainerWire;
export const { ErrorReason } = errorsWire;

export interface Folders {
  /** Of everything; removed at the end. */
  readonly root: string;
  readonly images: string;
  readonly cache: string;
  remove(): Promise<void>;
}

/** A folder with images of random pixels, and room for caches and stores. */
export async function makeFolders(imageCount = 12): Promise<Folders> {
  const root = await mkdtemp(join(tmpdir(), 'trainer-test-'));
  const images = await mkdtemp(join(root, 'images-'));
  const stream = randomStream(deriveKey(1n, 'test images'), []);
  for (let i = 0; i < imageCount; i++) {
    const pixels = Uint8Array.from({ length: 16 * 16 * 3 }, () => stream.integer(256));
    await writeFile(
      join(images, `image-${i}.png`),
      await encodeImage(pixels, { width: 16, height: 16, channels: 3 }, 'png'),
    );
  }
  return {
    root,
    images,
    cache: join(root, 'cache'),
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

/** The smallest network there is, on 8 x 8 pixels. */
export function tinyRecipe(images: string, over: PartialRecipe = {}): PartialRecipe {
  return {
    name: 'tiny',
    dataset: {
      source: { kind: 'folder', path: images, classFolders: false },
      imageSize: 8,
      randomFlip: true,
    },
    noiseSchedule: { name: 'linear', timesteps: 40 },
    inputPerturbation: { gamma: 0.1 },
    objective: { timestepSampler: 'loss-second-moment' },
    architecture: {
      modelChannels: 32,
      numResBlocks: 1,
      channelMult: [1],
      attentionResolutions: [],
      dropout: 0.1,
      numHeadChannels: 32,
    },
    ema: { rates: [0.9, 0.99], warmUp: true },
    evaluation: { images: 0, everySteps: 0 },
    ...over,
    training: {
      steps: 4,
      batchSize: 4,
      microbatchSize: 2,
      seed: '7',
      checkpointEverySteps: 2,
      keepLast: 10,
      sampleEverySteps: 0,
      logEverySteps: 1,
      ...over.training,
    },
  };
}

export function settingsFor(
  folders: Folders,
  store: StoreSettings,
  over: Partial<TrainerSettings> = {},
): TrainerSettings {
  return {
    ...readSettings({ PATH: process.env['PATH'], IP_DIFFUSION_ENGINE_CHECK: 'off' }),
    address: '127.0.0.1:0',
    store,
    datasetCacheFolder: folders.cache,
    name: 'test-trainer',
    restartDelayMs: 10,
    ...over,
  };
}

/** What the service logs with the process's id when it has started an engine. */
const ENGINE_STARTED = 'engine process started';

export interface TrainerProcess {
  /** Undefined where it ended instead of listening. */
  readonly client: Client | undefined;
  /** Lines of its log. */
  readonly log: readonly string[];
  /** Its exit code, or null where a signal ended it. */
  readonly exited: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
}

export interface Trainer {
  readonly address: string;
  readonly client: Client;
  readonly metricsPort: number | undefined;
  /** Of the newest engine. */
  enginePid(): number;
  stop(): Promise<void>;
}

/** A service in this process; its engines are processes all the same. */
export async function openTrainer(settings: TrainerSettings): Promise<Trainer> {
  const pids: number[] = [];
  const write = (line: string): void => {
    const { msg, pid } = JSON.parse(line) as { msg: string; pid: number };
    if (msg === ENGINE_STARTED) pids.push(pid);
  };
  const service = await startTrainer(settings, pino({ base: null }, { write }));
  const address = `127.0.0.1:${service.port}`;
  const client = connectTrainer(address);
  return {
    address,
    client,
    metricsPort: service.metricsPort,
    enginePid: () => present(pids.at(-1)),
    stop: async () => {
      await service.stop();
      client.close();
    },
  };
}

/** A service as a process of its own, with its settings from the environment. */
export async function spawnTrainer(environment: Readonly<Record<string, string>>): Promise<TrainerProcess> {
  const child = spawn(process.execPath, programArguments(import.meta.url, '../../services/trainer/main'), {
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      IP_DIFFUSION_ENGINE_CHECK: 'off',
      IP_DIFFUSION_TRAINER_ADDRESS: '127.0.0.1:0',
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const log: string[] = [];
  const listening = deferred<number | undefined>();
  createInterface(child.stderr).on('line', (line) => {
    log.push(line);
    const { msg, port } = JSON.parse(line) as { msg?: string; port?: number };
    if (msg === 'listening') listening.resolve(port);
  });
  const exited = once(child, 'close').then(([code]) => {
    listening.resolve(undefined);
    return code as number | null;
  });
  const port = await listening.promise;
  return {
    client: port === undefined ? undefined : connectTrainer(`127.0.0.1:${port}`),
    log,
    exited,
    kill: (signal) => {
      child.kill(signal);
    },
  };
}

export async function create(client: Client, recipe: PartialRecipe, requestId = ''): Promise<Job> {
  const request = { recipe: recipeToWire(recipe), requestId, validateOnly: false };
  return present((await callUnary(client, client.createTrainingJob, request)).job);
}

export async function get(client: Client, jobId: string): Promise<Job> {
  return present((await callUnary(client, client.getTrainingJob, { jobId })).job);
}

export async function resume(
  client: Client,
  jobId: string,
  changes: PartialRecipe,
  options: { readonly updateMask?: string[]; readonly requestId?: string } = {},
): Promise<Job> {
  const request = { jobId, recipe: recipeToWire(changes), updateMask: undefined, requestId: '', ...options };
  return present((await callUnary(client, client.resumeTrainingJob, request)).job);
}

/** A page of jobs. */
export function list(
  client: Client,
  fields: Partial<trainerWire.ListTrainingJobsRequest> = {},
): Promise<trainerWire.ListTrainingJobsResponse> {
  const request = { ...trainerWire.ListTrainingJobsRequest.create(), ...fields };
  return callUnary(client, client.listTrainingJobs, request);
}

/** All messages of a watch until it ends. @param onEvent May act on what happens. */
export async function watch(
  client: Client,
  jobId: string,
  onEvent: (event: Event, message: Message) => void = () => undefined,
  after = '',
): Promise<Message[]> {
  const messages: Message[] = [];
  for await (const message of callStream(client, client.watchTrainingJob, { jobId, after })) {
    messages.push(message);
    if (message.event !== undefined) onEvent(message.event, message);
  }
  return messages;
}

/** The job with which a watch ended. */
export function terminalOf(messages: readonly Message[]): Job {
  const event = messages.at(-1)?.event;
  if (event?.$case !== 'terminal') throw new Error(`the watch ended with ${event?.$case ?? 'nothing'}`);
  return event.value;
}

/** Trains a job to its end. */
export async function train(client: Client, recipe: PartialRecipe): Promise<Job> {
  const { jobId } = await create(client, recipe);
  return terminalOf(await watch(client, jobId));
}

/** SHA-256 of each object of a job's checkpoints, by step. */
export async function checkpointDigests(
  settings: StoreSettings,
  jobId: string,
): Promise<Map<number, Record<string, string>>> {
  const store = await storeFromSettings(settings);
  const digests = new Map<number, Record<string, string>>();
  for (const step of await listCommits(store, jobId)) {
    const manifest = await manifestOf(store, jobId, step);
    digests.set(step, Object.fromEntries(manifest.objects.map(({ name, sha256 }) => [name, sha256])));
  }
  await store.close();
  return digests;
}

/** The manifest of a checkpoint, after every object of it has been read against its hash. */
export async function manifestOf(store: ObjectStore, jobId: string, step: number) {
  const commit = await readCommit(store, jobId, step);
  const manifest = decodeManifest(commit.manifest, recipeFormat);
  for (const object of manifest.objects) await readObject(store, commit, object);
  return manifest;
}

export function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('wanted a value; got undefined');
  return value;
}
