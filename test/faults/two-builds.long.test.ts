/** A newer build, then this one, then the newer one again on one store: what each doesn't know, it keeps or refuses. */

import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { callUnary, connectSampler, connectTrainer } from '../../shared/rpc/index.js';
import type { DiffusionError } from '../../shared/foundation/index.js';
import { storeFromSettings } from '../../shared/store/index.js';
import { readCommit } from '../../shared/models/index.js';
import { recipeFormat } from '../../shared/recipe/index.js';
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
  type Event,
} from '../integration/trainer-fixture.js';
import { otherBuild, type Change } from './builds.js';
import { spawnService, type ServiceProcess } from './spawn-service.js';
import { folderStore } from './stores.js';

const folders = await makeFolders();
const store = folderStore(folders.root);
test.after.always(() => folders.remove());

/** A format that this build doesn't know. */
const NEWER = recipeFormat.newest + 1;

/** A field of recipes that this build doesn't know; it is on the wire of neither. */
function fieldWithValue(value: number): Change[] {
  return [
    {
      file: 'shared/recipe/rows/training.ts',
      from: 'logEverySteps: field(',
      to: `futureField: field(integer(0, 10), 'a toy', { default: 0, since: ${NEWER} }), logEverySteps: field(`,
    },
    {
      file: 'shared/recipe/presets.ts',
      from: 'logEverySteps: 1,',
      to: `logEverySteps: 1, futureField: ${value},`,
    },
    ...['wire', 'values'].map((of) => ({
      file: 'shared/contract/recipe.ts',
      from: `const value = ${of}[key];`,
      to: `if (key === 'futureField') return undefined; const value = ${of}[key];`,
    })),
  ];
}

interface Trainer extends ServiceProcess {
  readonly client: Client;
}

async function startTrainer(t: ExecutionContext, build?: string): Promise<Trainer> {
  const environment = {
    ...store.environment,
    IP_DIFFUSION_DATASET_CACHE: folders.cache,
    IP_DIFFUSION_LEASE_MS: '1000',
  };
  const service = await spawnService('trainer', environment, build === undefined ? {} : { build });
  t.teardown(() => {
    service.child.kill('SIGKILL');
  });
  return { ...service, client: connectTrainer(service.address) };
}

const recipe = (name: string, steps: number) =>
  tinyRecipe(folders.images, { name, training: { steps, checkpointEverySteps: 2, keepLast: 1000 } });

/** Trains until a checkpoint is committed after a step, then stops the trainer cleanly. */
async function trainUntilCommit({ client, child, exited }: Trainer, jobId: string, after = 0): Promise<void> {
  let stopped = false;
  const onEvent = (event: Event): void => {
    if (stopped || event.$case !== 'checkpointCommitted' || event.value.step <= BigInt(after)) return;
    stopped = true;
    child.kill('SIGTERM');
  };
  await watch(client, jobId, onEvent).catch(() => undefined);
  await exited;
}

async function manifestOf(
  jobId: string,
  step: number,
): Promise<{ formatVersion: number; recipe: { training: object } }> {
  const opened = await storeFromSettings(store.settings);
  const { manifest } = await readCommit(opened, jobId, step);
  await opened.close();
  return JSON.parse(Buffer.from(manifest).toString()) as never;
}

test.serial(
  'a field of a newer build that is at its default is kept, through rolling back and forth [fault 106, A10]',
  async (t) => {
    const newer = await otherBuild(join(folders.root, 'newer'), fieldWithValue(0));
    const first = await startTrainer(t, newer);
    const { jobId } = await create(first.client, recipe('harmless', 100_000));
    await trainUntilCommit(first, jobId);
    const committed = [...(await checkpointDigests(store.settings, jobId)).keys()];
    const last = committed.at(-1) ?? 0;
    t.true(last >= 2);

    const older = await startTrainer(t);
    await trainUntilCommit(older, jobId, last);
    const after = await checkpointDigests(store.settings, jobId);
    t.deepEqual([...after.keys()].slice(0, committed.length), committed);
    const newest = [...after.keys()].at(-1) ?? 0;
    t.true(newest > last, 'it resumed from there');
    t.like((await manifestOf(jobId, newest)).recipe.training, { futureField: 0 });

    const again = await startTrainer(t, newer);
    await trainUntilCommit(again, jobId, newest);
    const straight = await startTrainer(t);
    await callUnary(straight.client, straight.client.cancelTrainingJob, { jobId });
    const alone = await train(straight.client, recipe('alone', 6));
    const digests = await checkpointDigests(store.settings, jobId);
    for (const [step, wanted] of await checkpointDigests(store.settings, alone.jobId))
      if (digests.has(step)) t.deepEqual(digests.get(step), wanted, `step ${step}`);
    straight.child.kill('SIGTERM');
    await straight.exited;
  },
);

test.serial(
  'a recipe that this build can not train is refused by its format version, and not changed [fault 106, A10]',
  async (t) => {
    const newer = await otherBuild(join(folders.root, 'needed'), fieldWithValue(5));
    const first = await startTrainer(t, newer);
    const { jobId } = await create(first.client, recipe('needed', 100_000));
    await trainUntilCommit(first, jobId);
    const before = await checkpointDigests(store.settings, jobId).catch(
      (error: unknown) => (error as DiffusionError).reason,
    );
    t.is(before, 'MANIFEST_VERSION', 'not even the test can read it');

    const older = await startTrainer(t);
    const refusal = {
      code: 'FAILED_PRECONDITION',
      message: new RegExp(
        `format version ${recipeFormat.newest} at most; got ${NEWER}, written by a newer build`,
      ),
    };
    await t.throwsAsync(get(older.client, jobId), refusal as never);
    await t.throwsAsync(resume(older.client, jobId, {}), refusal as never);
    await t.throwsAsync(callUnary(older.client, older.client.cancelTrainingJob, { jobId }), refusal as never);
    while (!older.log.some((line) => line.includes('the job can not be recovered')))
      await new Promise((resume_) => setTimeout(resume_, 50));
    const sampler = await spawnService('sampler', store.environment);
    t.teardown(() => {
      sampler.child.kill('SIGKILL');
    });
    const client = connectSampler(sampler.address);
    await t.throwsAsync(callUnary(client, client.getModel, { model: 'needed' }), {
      code: 'FAILED_PRECONDITION',
      message: new RegExp(`formatVersion: wanted at most ${recipeFormat.newest}; got ${NEWER}`),
    } as never);
    client.close();
    older.child.kill('SIGTERM');
    t.is(await older.exited, 0);

    const again = await startTrainer(t, newer);
    let resumed = false;
    let cancelled = false;
    const messages = await watch(again.client, jobId, (event) => {
      // What is before that is history.
      resumed ||= event.$case === 'stateChanged' && event.value.message.startsWith('training resumes');
      if (event.$case !== 'checkpointCommitted' || !resumed || cancelled) return;
      cancelled = true;
      again.client.cancelTrainingJob({ jobId }, () => undefined);
    });
    const job = terminalOf(messages);
    t.is(job.state, JobState.JOB_STATE_CANCELLED);
    t.is(job.attempt, 2);
  },
);
