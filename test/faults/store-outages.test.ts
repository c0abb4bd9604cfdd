/** A store that is unavailable for a while: at a trainer's start, when a run is opened, when a checkpoint is committed. */

import test, { type ExecutionContext } from 'ava';

import { connectTrainer } from '../../shared/rpc/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { GO_MISSING, startMinio } from '../minio-server.js';
import {
  create,
  JobState,
  list as listJobs,
  makeFolders,
  terminalOf,
  tinyRecipe,
  watch,
  type Client,
  type Event,
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
  /** The last warning of the log. */
  warning(): string;
}

/** A trainer behind a gate, which can be closed at its start. */
async function trainerBehind(t: ExecutionContext, shutAtStart: boolean): Promise<Outage | undefined> {
  if (minio === undefined) {
    t.log(GO_MISSING);
    t.pass();
    return undefined;
  }
  const gate = await gateBefore(minio.port);
  if (shutAtStart) await gate.shut();
  const { child, address, log } = await spawnService('trainer', {
    ...minioStore(minio, gate.port).environment,
    IP_DIFFUSION_DATASET_CACHE: folders.cache,
  });
  const client = connectTrainer(address);
  t.teardown(async () => {
    child.kill('SIGKILL');
    client.close();
    await gate.shut().catch(() => undefined);
  });
  return { gate, client, warning: () => log.findLast((line) => line.includes('"level":40')) ?? '' };
}

const recipe = (name: string, steps: number) =>
  tinyRecipe(folders.images, {
    name,
    training: { steps, checkpointEverySteps: 20, logEverySteps: 1 },
  });

const messageOf = (event: Event): string => (event.$case === 'stateChanged' ? event.value.message : '');

async function until(met: () => Promise<boolean>): Promise<void> {
  while (!(await met())) await new Promise((resume) => setTimeout(resume, 100));
}

test.serial(
  'a trainer that starts while its store is unavailable waits for it, and says so to callers',
  async (t) => {
    const outage = await trainerBehind(t, true);
    if (outage === undefined) return;
    const { gate, client, warning } = outage;
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
    t.regex(warning(), /waiting for the store/);
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
  'a run that is opened while the store is unavailable waits for it, and the job says so',
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
      if (message.startsWith('waiting for the store')) void gate.open();
    });
    const job = terminalOf(all);
    t.is(job.state, JobState.JOB_STATE_SUCCEEDED, job.message);
    t.is(job.attempt, 1);
    t.true(messages.includes('the store answers again'));
  },
);

test.serial(
  'training continues while the store is unavailable, and its checkpoint is committed afterwards',
  async (t) => {
    const outage = await trainerBehind(t, false);
    if (outage === undefined) return;
    const { gate, client } = outage;
    const { jobId } = await create(client, recipe('commit-in-outage', 30));
    let isShut = false;
    let stepInOutage = 0;
    const all = await watch(client, jobId, (event) => {
      if (event.$case === 'stepMetrics') {
        if (event.value.step === 10) {
          isShut = true;
          void gate.shut();
        }
        if (isShut) stepInOutage = event.value.step;
      }
      if (isShut && messageOf(event).startsWith('waiting for the store')) {
        isShut = false;
        void gate.open();
      }
    });
    const job = terminalOf(all);
    t.is(job.state, JobState.JOB_STATE_SUCCEEDED, job.message);
    t.is(job.attempt, 1);
    t.true(stepInOutage >= 20, `the last step before the outage was reported is ${stepInOutage}`);
    t.is(job.checkpointStep, 30);
  },
);
