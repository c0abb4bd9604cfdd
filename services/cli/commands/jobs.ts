/** `jobs`: lists, shows, cancels and resumes jobs. */

import { callUnary } from '../../../shared/rpc/index.js';
import { recipeToWire, trainerWire } from '../../../shared/contract/index.js';
import { command, type Context, type ExitCode, type Group } from '../command.js';
import { trainerAddress, withTrainer } from '../connect.js';
import { describeJob, stateOf, stepsOf, timeOf } from '../describe-job.js';
import { table } from '../format.js';
import { given } from '../given.js';
import { integer, option } from '../options.js';
import { allPages } from '../pages.js';

const JOB = { name: 'JOB', help: 'the id of a job' };

const list = command({
  name: 'list',
  summary: 'lists all jobs, newest first',
  options: { address: trainerAddress },
  examples: [
    { arguments: '', does: 'all jobs of the trainer' },
    { arguments: '--json', does: 'one JSON object a job' },
  ],
  run: ({ options: { address } }, { terminal, signal }) =>
    withTrainer(address, signal, async (client) => {
      const jobs = await allPages(async (pageToken) => {
        const request = { pageSize: 0, pageToken };
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
      if (rows.length === 0) terminal.print('no jobs yet; start one with: npx ip-diffusion train');
      else
        for (const line of table([['JOB', 'MODEL', 'STATE', 'STEPS', 'CREATED'], ...rows]))
          terminal.print(line);
      return 0;
    }),
});

const show = command({
  name: 'show',
  summary: 'shows where a job stands',
  positionals: [JOB],
  options: { address: trainerAddress },
  examples: [
    { arguments: 'JOB', does: 'state, steps, last figures and recipe' },
    { arguments: 'JOB --json', does: 'everything, with the recipe as resolved' },
  ],
  run: ({ options: { address }, positionals: [jobId = ''] }, context) =>
    withTrainer(address, context.signal, async (client) => {
      const { job } = await callUnary(client, client.getTrainingJob, { jobId }, { signal: context.signal });
      return showJob(given(job), context);
    }),
});

const cancel = command({
  name: 'cancel',
  summary: 'commits a checkpoint and ends a job; it can be resumed',
  positionals: [JOB],
  options: { address: trainerAddress },
  examples: [{ arguments: 'JOB', does: 'end a job, keeping what it learned' }],
  run: ({ options: { address }, positionals: [jobId = ''] }, context) =>
    withTrainer(address, context.signal, async (client) => {
      const { job } = await callUnary(
        client,
        client.cancelTrainingJob,
        { jobId },
        { signal: context.signal },
      );
      return showJob(given(job), context);
    }),
});

const resume = command({
  name: 'resume',
  summary: 'goes on with an ended job from its last checkpoint',
  positionals: [JOB],
  options: {
    steps: option(integer(1, 1_000_000_000), 'a new number of steps in all'),
    address: trainerAddress,
  },
  examples: [
    { arguments: 'JOB', does: 'go on with a cancelled job' },
    { arguments: 'JOB --steps 40000', does: 'train a finished job further' },
  ],
  notes: ['`train --resume JOB` does the same and follows the job.'],
  run: ({ options: { address, steps }, positionals: [jobId = ''] }, context) =>
    withTrainer(address, context.signal, async (client) => {
      const recipe = steps === undefined ? undefined : recipeToWire({ training: { steps } });
      const request = { jobId, recipe };
      const { job } = await callUnary(client, client.resumeTrainingJob, request, { signal: context.signal });
      return showJob(given(job), context);
    }),
});

export const jobs: Group = {
  name: 'jobs',
  summary: 'lists, shows, cancels and resumes training jobs',
  commands: [list, show, cancel, resume],
  otherwise: list,
};

function showJob(job: trainerWire.TrainingJob, { terminal }: Context): ExitCode {
  terminal.emit(trainerWire.TrainingJob.toJSON(job) as object);
  for (const line of describeJob(job)) terminal.print(line);
  return 0;
}
