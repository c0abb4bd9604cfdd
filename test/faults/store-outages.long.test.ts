/** A store that is unavailable for a while: at a trainer's start, when a run is opened, when a checkpoint is committed. */

import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { connectTrainer } from '../../shared/rpc/index.js';
import { trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { GO_MISSING, startMinio } from '../minio-server.js';
import {
  checkpointDigests,
  create,
  JobState,
  list as listJobs,
  makeFolders,
  terminalOf,
  tinyRecipe,
  train,
  watch,
  type Client,
  type Event,
  type Message,
} from '../integration/trainer-fixture.js';
import { gateBefore, type Gate } from './gate.js';
import { spawnService } from './spawn-service.js';
import { minioStore } from './stores.js';

const folders = await makeFolders();
const minio = await startMinio();
test.after.always(async () => {
  await minio?.stop();
  await folders.remove();
});

interface Outage {
  readonly gate: Gate;
  readonly client: Client;
  readonly child: ChildProcess;
  /** Of the newest engine. */
  enginePid(): number;
  /** The warnings of the log. */
  warnings(): string;
}

/** A trainer behind a gate, which can be closed at its start. */
async function trainerBehind(
  t: ExecutionContext,
  shutAtStart: boolean,
  before?: Gate,
): Promise<Outage | undefined> {
  if (minio === undefined) {
    t.log(GO_MISSING);
    t.pass();
    return undefined;
  }
  const gate = before ?? (await gateBefore(minio.port));
  if (shutAtStart) await gate.shut();
  const { child, address, log } = await spawnService('trainer', {
    ...minioStore(minio, gate.port).environment,
    IP_DIFFUSION_DATASET_CACHE: folders.cache,
    IP_DIFFUSION_SPILL: join(folders.root, 'spill'),
  });
  const client = connectTrainer(address);
  t.teardown(async () => {
    child.kill('SIGKILL');
    client.close();
    await gate.shut().catch(() => undefined);
  });
  return {
    ...{ gate, client, child },
    enginePid: () => {
      const line = log.findLast((each) => each.includes('engine process started')) ?? '';
      // The service's own process is the first.
      return Number(/"attempt":\d+,"pid":(\d+)/.exec(line)?.[1]);
    },
    warnings: () => log.filter((line) => line.includes('"level":40')).join('\n'),
  };
}

const recipe = (name: string, steps: number) =>
  tinyRecipe(folders.images, {
    name,
    training: { steps, checkpointEverySteps: 8, logEverySteps: 1 },
  });

const messageOf = (event: Event): string =>
  event.$case === 'stateChanged' || event.$case === 'storeReport' ? event.value.message : '';

const isSpilled = (event: Event): boolean =>
  event.$case === 'storeReport' && event.value.change === trainerWire.StoreChange.STORE_CHANGE_SPILLED;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function until(met: () => Promise<boolean>): Promise<void> {
  while (!(await met())) await new Promise((resume) => setTimeout(resume, 100));
}

test.serial(
  'a trainer that starts while its store is unavailable waits for it, and says so to callers [fault 116]',
  async (t) => {
    const outage = await trainerBehind(t, true);
    if (outage === undefined) return;
    const { gate, client, warnings } = outage;
    const list = () => listJobs(client);
    const error = await t.throwsAsync(list(), { instanceOf: DiffusionError, code: 'UNAVAILABLE' });
    t.is(error.reason, 'SERVICE_STARTING');
    t.true((error.retryAfterMs ?? 0) > 0);
    await until(() =>
      list().then(
        () => true,
        (thrown: unknown) => thrown instanceof Error && /does not answer/.test(thrown.message),
      ),
    );
    t.regex(warnings(), /waiting for the store/);
    await gate.open();
    await until(() =>
      list().then(
        () => true,
        () => false,
      ),
    );
    t.deepEqual((await list()).jobs, []);
  },
);

test.serial(
  'a run that is opened while the store is unavailable waits for it, and the job says so [fault A5]',
  async (t) => {
    const outage = await trainerBehind(t, false);
    if (outage === undefined) return;
    const { gate, client } = outage;
    const { jobId } = await create(client, recipe('opened-in-outage', 4));
    const messages: string[] = [];
    const all = await watch(client, jobId, (event) => {
      const message = messageOf(event);
      messages.push(message);
      if (message === 'the engine starts') void gate.shut();
      if (message.startsWith('store unavailable')) void gate.open();
    });
    const job = terminalOf(all);
    t.is(job.state, JobState.JOB_STATE_SUCCEEDED, job.message);
    t.is(job.attempt, 1);
    t.true(messages.includes('the store answers again'));
  },
);

/** After one of the steps that are committed. */
const RESUMES = /^training resumes after step (8|16|24) /;

const isResumption = ({ event }: Message): boolean => event !== undefined && RESUMES.test(messageOf(event));

test.serial(
  'training goes on while the store is unavailable; with its engine killed, then with its trainer killed, the job resumes from what waits on disk, exactly [fault 69, 77, A32]',
  async (t) => {
    const outage = await trainerBehind(t, false);
    if (outage === undefined || minio === undefined) return;
    const { gate, client, child } = outage;
    const { jobId } = await create(client, recipe('killed-in-outage', 24));
    let isShut = false;
    let isEngineKilled = false;
    const seen: Message[] = [];
    await t.throwsAsync(
      watch(client, jobId, (event, message) => {
        seen.push(message);
        if (event.$case === 'stepMetrics' && event.value.step >= 4 && !isShut) {
          isShut = true;
          void gate.shut();
        }
        if (isSpilled(event) && !isEngineKilled) {
          isEngineKilled = true;
          process.kill(outage.enginePid(), 'SIGKILL');
        }
        // As many as it has made by then.
        else if (isSpilled(event) && seen.some(isResumption)) child.kill('SIGKILL');
      }),
      { code: 'UNAVAILABLE' } as never,
    );
    // The engine was replaced while the store was unavailable.
    t.true(seen.some(isResumption));
    // It dies with its parent, and can publish nothing.
    const pid = outage.enginePid();
    await until(() => Promise.resolve(!isAlive(pid)));
    await gate.open();
    const again = await trainerBehind(t, false, gate);
    if (again === undefined) return;
    const steps: number[] = [];
    const messages: string[] = [];
    const all = await watch(again.client, jobId, (event) => {
      messages.push(messageOf(event));
      if (event.$case === 'checkpointCommitted') steps.push(event.value.step);
    });
    const job = terminalOf(all);
    t.is(job.state, JobState.JOB_STATE_SUCCEEDED, job.message);
    t.deepEqual(steps, [8, 16, 24]);
    t.true(
      messages.some((message) => RESUMES.test(message)),
      messages.join('\n'),
    );
    const straight = await train(again.client, recipe('left-alone', 24));
    const { settings } = minioStore(minio);
    t.deepEqual(await checkpointDigests(settings, jobId), await checkpointDigests(settings, straight.jobId));
  },
);
