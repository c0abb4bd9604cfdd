/** `jobs`: lists, shows, cancels, resumes and deletes jobs. */

import { randomUUID } from 'node:crypto';

import {
  JOB_STATES,
  jobStates,
  recipeToWire,
  trainerWire,
  type JobState,
} from '../../../shared/contract/index.js';
import { callUnary } from '../../../shared/rpc/index.js';
import { cancelJob, hasEnded, whenEnded } from '../cancel-job.js';
import { MAX_STEPS } from '../../../shared/recipe/index.js';
import { command, type Context, type ExitCode, type Group } from '../command.js';
import { trainerConnection, withTrainer } from '../connect.js';
import { describeJob, stateOf, stepsOf, timeOf } from '../describe-job.js';
import { table } from '../format.js';
import { given } from '../given.js';
import { flag, integer, listOf, option, text, time } from '../options.js';
import { allPages } from '../pages.js';
import { recipeOptions, withFlags } from '../recipe-options.js';

const JOB = { name: 'JOB', help: 'the id of a job' };

const list = command({
  name: 'list',
  summary: 'lists jobs, newest first',
  options: {
    state: option(
      listOf(JOB_STATES, 'STATE,...'),
      `only jobs in one of these states: ${JOB_STATES.join(', ')}`,
    ),
    model: option(text('PREFIX'), "only jobs whose model's name begins with this"),
    since: option(time, 'only jobs created at this time or later'),
    before: option(time, 'only jobs created before this time'),
    ...trainerConnection,
  },
  examples: [
    { arguments: '', does: 'all jobs of the trainer' },
    { arguments: '--state failed,cancelled --since 2026-01-31', does: 'jobs that may have to be resumed' },
    { arguments: '--json', does: 'one JSON object for each job' },
  ],
  run: ({ options: { state = [], model = '', since, before, ...connection } }, { terminal, signal }) =>
    withTrainer(connection, signal, async (client) => {
      const filter = {
        states: state.map((each: JobState) => jobStates.write(each)),
        modelPrefix: model,
        createdFrom: since,
        createdBefore: before,
      };
      const jobs = await allPages(async (pageToken) => {
        const request = { pageSize: 0, pageToken, ...filter };
        const page = await callUnary(client, client.listTrainingJobs, request, { signal });
        return { items: page.jobs, nextPageToken: page.nextPageToken };
      });
      for (const job of jobs) terminal.emit(trainerWire.TrainingJob.toJSON(job) as object);
      const rows = jobs.map((job) => [
        job.jobId,
        job.model,
        stateOf(job),
        stepsOf(job),
        timeOf(job.createTime),
      ]);
      const isFiltered = state.length > 0 || model !== '' || (since ?? before) !== undefined;
      if (rows.length > 0)
        for (const line of table([['JOB', 'MODEL', 'STATE', 'STEPS', 'CREATED'], ...rows]))
          terminal.print(line);
      else if (isFiltered) terminal.print('no job matches');
      else terminal.print('no jobs yet; start one with: npx ip-diffusion train');
      return 0;
    }),
});

const show = command({
  name: 'show',
  summary: 'shows the state, the progress and the recipe of a job',
  positionals: [JOB],
  options: { ...trainerConnection },
  examples: [
    { arguments: 'JOB', does: 'state, steps, last metrics and recipe' },
    { arguments: 'JOB --json', does: 'everything, with the recipe as resolved' },
  ],
  run: ({ options: connection, positionals: [jobId = ''] }, context) =>
    withTrainer(connection, context.signal, async (client) => {
      const { job } = await callUnary(client, client.getTrainingJob, { jobId }, { signal: context.signal });
      return showJob(given(job), context);
    }),
});

const cancel = command({
  name: 'cancel',
  summary: 'commits a checkpoint and ends a job; it can be resumed',
  positionals: [JOB],
  options: { detach: flag("don't wait until the job has ended"), ...trainerConnection },
  examples: [{ arguments: 'JOB', does: 'end a job and keep its last checkpoint' }],
  notes: ['Ctrl-C ends only the wait; the job is cancelled all the same.'],
  run: ({ options: { detach, ...connection }, positionals: [jobId = ''] }, context) =>
    withTrainer(connection, context.signal, async (client) => {
      const { terminal, signal } = context;
      const job = await cancelJob(client, jobId, signal);
      if (detach || hasEnded(job)) return showJob(job, context);
      terminal.print('cancelling: the job commits a checkpoint and ends');
      return showJob(await whenEnded(client, job, signal), context);
    }),
});

const resume = command({
  name: 'resume',
  summary: 'resumes an ended job from its newest checkpoint',
  positionals: [JOB],
  options: {
    steps: option(integer(1, MAX_STEPS), 'a new total number of steps'),
    set: recipeOptions.set,
    ...trainerConnection,
  },
  examples: [
    { arguments: 'JOB', does: 'resume a cancelled job' },
    { arguments: 'JOB --steps 40000', does: 'train a finished job further' },
    {
      arguments: 'JOB --set training.keep_last=5',
      does: 'change a field; docs/fields.md says which may change',
    },
  ],
  notes: ['`train --resume JOB` does the same and follows the job.'],
  run: ({ options: { steps, set, ...connection }, positionals: [jobId = ''] }, context) => {
    const recipe = recipeToWire(withFlags({}, { steps, set }, 'ip-diffusion jobs resume'));
    return withTrainer(connection, context.signal, async (client) => {
      const request = { jobId, recipe, requestId: randomUUID(), updateMask: undefined };
      const { job } = await callUnary(client, client.resumeTrainingJob, request, { signal: context.signal });
      return showJob(given(job), context);
    });
  },
});

const remove = command({
  name: 'delete',
  summary: 'deletes an ended job: its recipe and events; its model stays',
  positionals: [JOB],
  options: { ...trainerConnection },
  examples: [{ arguments: 'JOB', does: 'it can no longer be resumed' }],
  notes: ['`models delete MODEL` deletes a model, its checkpoints and its job.'],
  run: ({ options: connection, positionals: [jobId = ''] }, { terminal, signal }) =>
    withTrainer(connection, signal, async (client) => {
      await callUnary(client, client.deleteTrainingJob, { jobId }, { signal });
      terminal.emit({ deleted: jobId });
      terminal.print(`deleted job ${jobId}`);
      return 0;
    }),
});

export const jobs: Group = {
  name: 'jobs',
  summary: 'lists, shows, cancels, resumes and deletes training jobs',
  commands: [list, show, cancel, resume, remove],
  otherwise: list,
};

function showJob(job: trainerWire.TrainingJob, { terminal }: Context): ExitCode {
  terminal.emit(trainerWire.TrainingJob.toJSON(job) as object);
  for (const line of describeJob(job)) terminal.print(line);
  return 0;
}
