/** `models`: the models that can be sampled from. */

import {
  checkpointWire,
  precisions,
  samplerWire,
  weightsFromWire,
  weightsToWire,
} from '../../../shared/contract/index.js';
import { describeWeights } from '../../../shared/checkpoint/index.js';
import { PRECISIONS } from '../../../shared/recipe/index.js';
import { callUnary } from '../../../shared/rpc/index.js';
import { checkpointOptions } from '../checkpoint-options.js';
import { command, type Group } from '../command.js';
import { samplerConnection, trainerConnection, withSampler, withTrainer } from '../connect.js';
import { recipeFacts, timeOf } from '../describe-job.js';
import { formatBytes, formatCount, table } from '../format.js';
import { given } from '../given.js';
import { flag, oneOf, option, text } from '../options.js';
import { allPages } from '../pages.js';
import { UsageError } from '../parse-arguments.js';

type Contract = checkpointWire.CheckpointContract;

const MODEL = { name: 'MODEL', help: 'the name of a model' };
const { checkpoint: checkpointOption } = checkpointOptions;
const HEADINGS = ['CHECKPOINT', 'EMA RATES', 'SIZE', 'COMMITTED'];

const list = command({
  name: 'list',
  summary: 'lists the models that have a committed checkpoint',
  options: {
    name: option(text('PREFIX'), 'only models whose names begin with this'),
    ...samplerConnection,
  },
  examples: [
    { arguments: '', does: 'all models of the sampler' },
    { arguments: '--json', does: 'one JSON object for each model' },
  ],
  run: ({ options: { name: namePrefix = '', ...connection } }, { terminal, signal }) =>
    withSampler(connection, signal, async (client) => {
      const found = await allPages(async (pageToken) => {
        const request = { pageSize: 0, pageToken, namePrefix };
        const page = await callUnary(client, client.listModels, request, { signal });
        return { items: page.models, nextPageToken: page.nextPageToken };
      });
      for (const model of found) terminal.emit(samplerWire.Model.toJSON(model) as object);
      const rows = found.map(({ name, latest, checkpointSteps }) => [
        name,
        latest === undefined ? '' : formatCount(latest.step),
        checkpointSteps.map(String).join(', '),
        latest?.emaRates.join(', ') ?? '',
        timeOf(latest?.createTime),
      ]);
      if (rows.length > 0)
        for (const line of table([['MODEL', 'NEWEST', 'CHECKPOINTS', 'EMA RATES', 'COMMITTED'], ...rows]))
          terminal.print(line);
      else if (namePrefix !== '') terminal.print('no model matches');
      else terminal.print('no models yet; train one with: npx ip-diffusion train');
      return 0;
    }),
});

const show = command({
  name: 'show',
  summary: "shows a model's newest checkpoint, or another one: how it was trained and what it holds",
  positionals: [MODEL],
  options: { checkpoint: checkpointOption, ...samplerConnection },
  examples: [
    { arguments: 'MODEL', does: 'gamma, schedule, EMA rates, all checkpoints' },
    { arguments: 'MODEL --checkpoint 5000', does: 'an older checkpoint' },
  ],
  run: ({ options: { checkpoint, ...connection }, positionals: [name = ''] }, { terminal, signal }) =>
    withSampler(connection, signal, async (client) => {
      const model = given((await callUnary(client, client.getModel, { model: name }, { signal })).model);
      const request = { model: name, checkpointStep: checkpoint };
      const shown =
        checkpoint === undefined
          ? model
          : {
              ...model,
              latest: (await callUnary(client, client.getCheckpoint, request, { signal })).checkpoint,
            };
      terminal.emit(
        checkpoint === undefined
          ? (samplerWire.Model.toJSON(model) as object)
          : (checkpointWire.CheckpointContract.toJSON(given(shown.latest)) as object),
      );
      for (const line of describeModel(shown)) terminal.print(line);
      return 0;
    }),
});

const checkpoints = command({
  name: 'checkpoints',
  summary: "lists a model's checkpoints, newest first",
  positionals: [MODEL],
  options: { ...samplerConnection },
  examples: [
    { arguments: 'MODEL --json', does: "one JSON object for each checkpoint, with its job's recipe" },
  ],
  run: ({ options: connection, positionals: [model = ''] }, { terminal, signal }) =>
    withSampler(connection, signal, async (client) => {
      const found = await allPages(async (pageToken) => {
        const request = { model, pageSize: 0, pageToken };
        const page = await callUnary(client, client.listCheckpoints, request, { signal });
        return { items: page.checkpoints, nextPageToken: page.nextPageToken };
      });
      for (const each of found) terminal.emit(checkpointWire.CheckpointContract.toJSON(each) as object);
      const rows = found.map((each) => [
        formatCount(each.step),
        each.emaRates.join(', '),
        formatBytes(bytesOf(each)),
        timeOf(each.createTime),
      ]);
      for (const line of table([HEADINGS, ...rows])) terminal.print(line);
      return 0;
    }),
});

const load = command({
  name: 'load',
  summary: 'loads weights into the sampler, so that the next call begins at once',
  positionals: [MODEL],
  options: {
    ...checkpointOptions,
    precision: option(oneOf(PRECISIONS), 'the numbers that the network computes with', {
      fallback: 'float32',
    }),
    ...samplerConnection,
  },
  examples: [{ arguments: 'MODEL', does: 'the newest checkpoint, EMA weights of the largest rate' }],
  run: ({ options, positionals: [model = ''] }, { terminal, signal }) =>
    withSampler(options, signal, async (client) => {
      const request = {
        model,
        checkpointStep: options.checkpoint,
        weights: options.weights === undefined ? undefined : weightsToWire(options.weights),
        precision: precisions.write(options.precision),
      };
      const loaded = given((await callUnary(client, client.loadModel, request, { signal })).loaded);
      terminal.emit(samplerWire.LoadedModel.toJSON(loaded) as object);
      terminal.print(`loaded ${describeLoaded(loaded)}`);
      return 0;
    }),
});

const unload = command({
  name: 'unload',
  summary: 'unloads a model from the sampler; calls that use it are not ended',
  positionals: [MODEL],
  options: { ...samplerConnection },
  examples: [{ arguments: 'MODEL', does: 'frees its memory' }],
  run: ({ options: connection, positionals: [model = ''] }, { terminal, signal }) =>
    withSampler(connection, signal, async (client) => {
      const { unloaded } = await callUnary(client, client.unloadModel, { model }, { signal });
      for (const each of unloaded) terminal.emit(samplerWire.LoadedModel.toJSON(each) as object);
      for (const each of unloaded) terminal.print(`unloaded ${describeLoaded(each)}`);
      if (unloaded.length === 0) terminal.print(`${model} was not loaded`);
      return 0;
    }),
});

const remove = command({
  name: 'delete',
  summary: 'deletes a checkpoint of a model, or the model with its job and all checkpoints',
  positionals: [MODEL],
  options: {
    checkpoint: { ...checkpointOption, help: 'the step of the checkpoint to delete' },
    all: flag('delete the model, its job and all its checkpoints'),
    ...trainerConnection,
  },
  examples: [
    { arguments: 'MODEL --checkpoint 5000', does: 'one checkpoint' },
    { arguments: 'MODEL --all', does: 'everything; this can not be undone' },
  ],
  notes: ['A checkpoint that a job still needs is not deleted: cancel the job first.'],
  run: ({ options: { checkpoint, all, ...connection }, positionals: [model = ''] }, { terminal, signal }) => {
    if (all === (checkpoint !== undefined))
      throw new UsageError('wanted --checkpoint STEP or --all', 'ip-diffusion models delete');
    return withTrainer(connection, signal, async (client) => {
      if (all) await callUnary(client, client.deleteModel, { model }, { signal });
      else
        await callUnary(client, client.deleteCheckpoint, { model, checkpointStep: checkpoint }, { signal });
      terminal.emit({ deleted: model, ...(checkpoint !== undefined && { checkpoint }) });
      terminal.print(
        checkpoint === undefined
          ? `deleted ${model}`
          : `deleted the checkpoint of step ${checkpoint} of ${model}`,
      );
      return 0;
    });
  },
});

export const models: Group = {
  name: 'models',
  summary: 'lists, shows, loads and deletes the models that can be sampled from',
  commands: [list, show, checkpoints, load, unload, remove],
  otherwise: list,
};

function describeModel({ name, latest, checkpointSteps }: samplerWire.Model): string[] {
  const contract = given(latest);
  const { step, jobId, samplesSeen, emaRates, recipe, engine, createTime, manifestSha256 } = contract;
  return table([
    ['model', name],
    [
      'checkpoint',
      `step ${formatCount(step)}${samplesSeen > 0n ? `, ${formatCount(samplesSeen)} images seen` : ''}`,
    ],
    ['of', checkpointSteps.map(String).join(', ')],
    ['EMA rates', emaRates.join(', ')],
    ...recipeFacts(given(recipe)),
    ['size', formatBytes(bytesOf(contract))],
    ['job', jobId],
    ...(engine === undefined ? [] : [['engine', `TensorFlow ${engine.tensorflow} on ${engine.platform}`]]),
    ['committed', timeOf(createTime)],
    ['manifest', manifestSha256],
  ]);
}

function describeLoaded({ model, checkpointStep, weights, calls }: samplerWire.LoadedModel): string {
  const which = describeWeights(weightsFromWire(weights) ?? 'raw');
  const used = calls === 0 ? '' : `, used by ${formatCount(calls)} calls`;
  return `${model}, step ${formatCount(checkpointStep)}, ${which}${used}`;
}

function bytesOf({ objects }: Contract): number {
  return objects.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
}
