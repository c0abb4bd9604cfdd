/** `train`: starts or resumes a job and follows it. */

import { randomUUID } from 'node:crypto';
import { join } from 'node:path';

import { callUnary } from '../../../shared/rpc/index.js';
import { recipeToWire, trainerWire, type recipeWire } from '../../../shared/contract/index.js';
import { command, type Context, type ExitCode } from '../command.js';
import { trainerConnection, withTrainer, type TrainerClient } from '../connect.js';
import { describeEstimate, describeJob } from '../describe-job.js';
import { exitCodeOf, followJob } from '../follow-job.js';
import { given } from '../given.js';
import { flag, option, text, type Values } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import { fieldOptions, recipeFromOptions, recipeOptions, withFlags } from '../recipe-options.js';

const USAGE = 'ip-diffusion train';

const options = {
  ...fieldOptions(),
  ...recipeOptions,
  resume: option(text('JOB'), 'resume an ended job; --steps can raise its number of steps'),
  validateOnly: flag('only check the recipe, and estimate memory, size and time'),
  detach: flag("start the job and don't follow it"),
  csv: option(text('FILE'), 'file for the metrics; <model>-metrics.csv when not given'),
  output: option(text('DIR'), 'folder for the sample grids', { fallback: 'samples' }),
  ...trainerConnection,
};

type TrainValues = Values<typeof options>;

export const train = command({
  name: 'train',
  summary: 'trains a model and follows the job',
  options,
  examples: [
    { arguments: '', does: 'the small preset on the bundled images' },
    { arguments: '--images photos --image-size 64 --name photos --steps 20000', does: 'your own images' },
    {
      arguments: '--preset cifar10-32 --images cifar --validate-only',
      does: 'estimate memory, size and time',
    },
    { arguments: '--recipe recipe.json --gamma 0.15 --detach', does: 'a recipe file, one field changed' },
    { arguments: '--resume JOB --steps 40000', does: 'train an ended job further' },
  ],
  notes: ['Ctrl-C stops following; the job continues. `watch` follows it again, `jobs cancel` ends it.'],
  run: async ({ options: values }, context) => {
    const { resume, validateOnly } = values;
    if (resume !== undefined && validateOnly) {
      throw new UsageError('--resume and --validate-only exclude each other', USAGE);
    }
    const recipe =
      resume === undefined
        ? await recipeFromOptions(values, USAGE)
        : recipeToWire(withFlags({}, values, USAGE));
    return withTrainer(values, context.signal, async (client) => {
      if (validateOnly) return validate(client, recipe, context);
      const job =
        resume === undefined
          ? await create(client, recipe, context)
          : await resumeJob(client, resume, recipe, context);
      return values.detach ? detach(job, values, context) : follow(client, job, values, context);
    });
  },
});

async function create(
  client: TrainerClient,
  recipe: recipeWire.TrainingRecipe,
  { signal }: Context,
): Promise<trainerWire.TrainingJob> {
  const request = { recipe, requestId: randomUUID(), validateOnly: false };
  return given((await callUnary(client, client.createTrainingJob, request, { signal })).job);
}

async function resumeJob(
  client: TrainerClient,
  jobId: string,
  recipe: recipeWire.TrainingRecipe,
  { signal }: Context,
): Promise<trainerWire.TrainingJob> {
  const request = { jobId, recipe, requestId: randomUUID(), updateMask: undefined };
  return given((await callUnary(client, client.resumeTrainingJob, request, { signal })).job);
}

async function validate(
  client: TrainerClient,
  recipe: recipeWire.TrainingRecipe,
  context: Context,
): Promise<ExitCode> {
  const { terminal, signal } = context;
  const request = { recipe, requestId: randomUUID(), validateOnly: true };
  const response = await callUnary(client, client.createTrainingJob, request, { signal });
  terminal.emit(trainerWire.CreateTrainingJobResponse.toJSON(response) as object);
  for (const line of describeEstimate(given(response.estimate))) terminal.print(line);
  return 0;
}

function detach(job: trainerWire.TrainingJob, { address }: TrainValues, { terminal }: Context): ExitCode {
  terminal.emit(trainerWire.TrainingJob.toJSON(job) as object);
  for (const line of [...describeJob(job), '', ...whatNext(job, address)]) terminal.print(line);
  return 0;
}

async function follow(
  client: TrainerClient,
  job: trainerWire.TrainingJob,
  { csv, output, address }: TrainValues,
  context: Context,
): Promise<ExitCode> {
  const { terminal, signal } = context;
  const csvPath = csv ?? `${job.model}-metrics.csv`;
  try {
    const ended = await followJob(
      client,
      job.jobId,
      { csvPath, gridFolder: join(output, job.model) },
      context,
    );
    terminal.print(`metrics in ${csvPath}`);
    if (exitCodeOf(ended) === 0) terminal.print(`sample images: npx ip-diffusion sample ${ended.model}`);
    return exitCodeOf(ended);
  } catch (error) {
    if (signal.aborted) {
      terminal.print(`stopped following; the job continues; metrics so far are in ${csvPath}`);
      for (const line of whatNext(job, address)) terminal.print(line);
    }
    throw error;
  }
}

function whatNext({ jobId }: trainerWire.TrainingJob, address: string): string[] {
  const at = address === trainerConnection.address.fallback ? '' : ` --address ${address}`;
  return [
    `  watch it:  npx ip-diffusion watch ${jobId}${at}`,
    `  cancel it: npx ip-diffusion jobs cancel ${jobId}${at}`,
  ];
}
