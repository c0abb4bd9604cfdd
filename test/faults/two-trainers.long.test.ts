/** Two trainers of one name on one store: kill -9, a pause past the lease, clocks that jump. */

import test, { type ExecutionContext } from 'ava';

import { connectTrainer, callUnary } from '../../shared/rpc/index.js';
import { deferred, type DiffusionError } from '../../shared/foundation/index.js';
import { GO_MISSING, startMinio } from '../minio-server.js';
import {
  checkpointDigests,
  create,
  get,
  JobState,
  makeFolders,
  resume,
  terminalOf,
  tinyRecipe,
  train,
  watch,
  type Client,
} from '../integration/trainer-fixture.js';
import { spawnService, type ServiceProcess } from './spawn-service.js';
import { folderStore, minioStore, type TestStore } from './stores.js';
import { siblingModule } from '../../shared/processes/index.js';

const LEASE_MS = 1000;
/** Far more than are trained before the test ends. */
const STEPS = 100_000;
const EVERY = 10;

const folders = await makeFolders();
const minio = await startMinio();
test.after.always(async () => {
  await minio?.stop();
  await folders.remove();
});

interface TrainerProcess extends ServiceProcess {
  readonly client: Client;
}

async function spawnTrainer({ environment }: TestStore): Promise<TrainerProcess> {
  const service = await spawnService(
    'trainer',
    {
      ...environment,
      IP_DIFFUSION_DATASET_CACHE: folders.cache,
      IP_DIFFUSION_TRAINER_NAME: 'twin',
      IP_DIFFUSION_LEASE_MS: String(LEASE_MS),
      IP_DIFFUSION_ENGINE_RESTART_DELAY_MS: '10',
    },
    { preload: siblingModule(import.meta.url, './clock-process') },
  );
  return { ...service, client: connectTrainer(service.address) };
}

const recipe = (name: string, steps = STEPS) =>
  tinyRecipe(folders.images, {
    name,
    training: { steps, checkpointEverySteps: EVERY, keepLast: 1000, logEverySteps: 5 },
  });

const pause = (ms: number): Promise<void> => new Promise((resume) => setTimeout(resume, ms));

async function until(met: () => Promise<boolean>): Promise<void> {
  while (!(await met())) await pause(50);
}

async function reasonOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'OK';
  } catch (error) {
    return (error as DiffusionError).reason;
  }
}

const STORES: readonly (readonly [string, (() => TestStore) | undefined])[] = [
  ['a folder', () => folderStore(folders.root)],
  ['MinIO', minio && (() => minioStore(minio))],
];

for (const [where, store] of STORES) {
  test.serial(
    `two trainers on ${where} share their jobs, and each is trained by exactly one of them [fault 87, 114]`,
    async (t) => {
      if (store === undefined) {
        t.log(GO_MISSING);
        t.pass();
        return;
      }
      await shareJobs(t, store());
    },
  );
}

async function shareJobs(t: ExecutionContext, store: TestStore): Promise<void> {
  const begin = async (): ReturnType<typeof spawnTrainer> => {
    const trainer = await spawnTrainer(store);
    t.teardown(() => trainer.child.kill('SIGKILL'));
    return trainer;
  };
  // The second comes later: it could take a job in the moment between the job's creation and the first one's lease.
  const first = await begin();
  const straight = await train(first.client, recipe('straight', 4 * EVERY));

  // The first has a job and runs: the second does not take it, whatever the clocks show.
  const { jobId } = await create(first.client, recipe('shared'));
  const isCommitted = async (client: Client, step: number): Promise<boolean> =>
    (await get(client, jobId)).checkpointStep >= step;
  await until(() => isCommitted(first.client, EVERY));
  const second = await begin();
  for (let jump = 0; jump < 3; jump++) {
    first.child.kill('SIGUSR2');
    if (jump === 1) second.child.kill('SIGUSR2');
    await pause(LEASE_MS);
    t.is((await get(first.client, jobId)).attempt, 1);
  }
  t.is(await reasonOf(callUnary(second.client, second.client.cancelTrainingJob, { jobId })), 'JOB_ELSEWHERE');
  t.is(await reasonOf(resume(second.client, jobId, {})), 'JOB_ACTIVE');

  // Paused past its lease, it loses the job, and notices that when it continues.
  const seenFirst = deferred();
  const watching = reasonOf(
    watch(first.client, jobId, () => {
      seenFirst.resolve();
    }),
  );
  await seenFirst.promise;
  first.child.kill('SIGSTOP');
  await until(async () => (await get(second.client, jobId)).attempt === 2);
  first.child.kill('SIGCONT');
  await until(() => isCommitted(second.client, 3 * EVERY));
  // A pause of more than 20 s, where the machine is busy, ends the connection first.
  t.true(['JOB_MOVED', 'UNAVAILABLE'].includes(await watching));
  t.is(await reasonOf(callUnary(first.client, first.client.cancelTrainingJob, { jobId })), 'JOB_ELSEWHERE');
  // Not from its memory, but from what the second saves from time to time.
  await until(async () => (await get(first.client, jobId)).attempt === 2);
  const now = await get(second.client, jobId);
  t.is(now.attempt, 2);
  t.is(now.state, JobState.JOB_STATE_RUNNING);

  // The second is killed: the first takes the job without waiting for the lease, as it sees that the process has ended.
  second.child.kill('SIGKILL');
  await second.exited;
  await until(async () => (await get(first.client, jobId)).attempt === 3);
  await until(() => isCommitted(first.client, 4 * EVERY));
  await callUnary(first.client, first.client.cancelTrainingJob, { jobId });
  t.is(terminalOf(await watch(first.client, jobId)).state, JobState.JOB_STATE_CANCELLED);

  const positions = (await watch(first.client, jobId)).slice(1).map(({ position }) => position);
  t.is(new Set(positions).size, positions.length);
  const [alone, shared] = [
    await checkpointDigests(store.settings, straight.jobId),
    await checkpointDigests(store.settings, jobId),
  ];
  t.deepEqual([...alone.keys()], [EVERY, 2 * EVERY, 3 * EVERY, 4 * EVERY]);
  for (const [step, digests] of alone) t.deepEqual(shared.get(step), digests, `step ${step}`);
  first.child.kill('SIGTERM');
  t.is(await first.exited, 0);
}
