import test from 'ava';

import { GO_MISSING, startMinio } from '../minio-server.js';
import {
  checkpointDigests,
  create,
  JobState,
  makeFolders,
  present,
  spawnTrainer,
  terminalOf,
  tinyRecipe,
  train,
  watch,
  type Event,
  type Message,
} from './trainer-fixture.js';

const STEPS = 8;

const minio = await startMinio();
const folders = await makeFolders();

test.after.always(async () => {
  await minio?.stop();
  await folders.remove();
});

/** True for the first commit only: a second signal would end the service at once. */
function isFirstCommit(): (event: Event) => boolean {
  let commits = 0;
  return (event) => event.$case === 'checkpointCommitted' && ++commits === 1;
}

/** Watches until the service ends; returns the messages until then, and the error. */
async function watchUntilStopped(
  ...[client, jobId, onEvent, after]: Parameters<typeof watch>
): Promise<{ messages: Message[]; error: unknown }> {
  const messages: Message[] = [];
  try {
    await watch(
      client,
      jobId,
      (event, message) => {
        messages.push(message);
        return onEvent?.(event, message);
      },
      after,
    );
    return { messages, error: undefined };
  } catch (error) {
    return { messages, error };
  }
}

test('on MinIO, a job survives its service: stopped, then killed, it ends with the tensors of an uninterrupted run [fault 23, 111]', async (t) => {
  if (minio === undefined) {
    t.log(GO_MISSING);
    t.pass();
    return;
  }
  const environment = {
    IP_DIFFUSION_STORE: `s3://${minio.bucket}/models`,
    IP_DIFFUSION_S3_ENDPOINT: `http://${minio.endpoint}:${minio.port}`,
    IP_DIFFUSION_S3_ACCESS_KEY: minio.accessKey,
    IP_DIFFUSION_S3_SECRET_KEY: minio.secretKey,
    IP_DIFFUSION_DATASET_CACHE: folders.cache,
  };
  const recipe = (name: string) => tinyRecipe(folders.images, { name, training: { steps: STEPS } });

  const [firstCommit, secondCommit] = [isFirstCommit(), isFirstCommit()];
  const first = await spawnTrainer(environment);
  const { jobId } = await create(present(first.client), recipe('survivor'));
  const seen = await watchUntilStopped(present(first.client), jobId, (event) => {
    if (firstCommit(event)) first.kill('SIGTERM');
  });
  t.like(seen.error, { code: 'UNAVAILABLE', reason: 'SERVICE_STOPPING' });
  t.is(await first.exited, 0);
  const reported = seen.messages.flatMap(({ event }) =>
    event?.$case === 'stepMetrics' ? [event.value.step] : [],
  );
  const commits = seen.messages.flatMap(({ event }) =>
    event?.$case === 'checkpointCommitted' ? [event.value.step] : [],
  );
  t.is(commits.at(-1), reported.at(-1), 'what was trained is committed when the service has stopped');

  const second = await spawnTrainer(environment);
  const position = seen.messages.at(-1)?.position;
  const more = await watchUntilStopped(
    present(second.client),
    jobId,
    (event) => {
      if (secondCommit(event)) second.kill('SIGKILL');
    },
    position,
  );
  t.like(more.error, { code: 'UNAVAILABLE' });
  t.is(await second.exited, null);

  const third = await spawnTrainer(environment);
  const client = present(third.client);
  const last = await watch(client, jobId, undefined, more.messages.at(-1)?.position);
  const job = terminalOf(last);
  t.is(job.state, JobState.JOB_STATE_SUCCEEDED);
  t.is(job.attempt, 3);

  const positions = [seen.messages, more.messages, last].flatMap((messages) =>
    messages.slice(1).map(({ position }) =>
      position
        .split('.')
        .map((part) => part.padStart(6))
        .join('.'),
    ),
  );
  t.deepEqual(positions, [...new Set(positions)].sort(), 'positions grow across restarts and never repeat');

  const straight = await train(client, recipe('left-alone'));
  const store = {
    kind: 'minio' as const,
    ...minio,
    prefix: 'models/',
    useTLS: false,
    region: 'us-east-1',
  };
  const [interrupted, alone] = [
    await checkpointDigests(store, jobId),
    await checkpointDigests(store, straight.jobId),
  ];
  t.deepEqual([...alone.keys()], [2, 4, 6, 8]);
  for (const [step, digests] of alone) t.deepEqual(interrupted.get(step), digests, `step ${step}`);
  third.kill('SIGTERM');
  t.is(await third.exited, 0);
  for (const line of [...first.log, ...second.log, ...third.log]) t.false(line.includes(minio.secretKey));
});
