/** `models`: what can be sampled from. */

import { callUnary } from '../../../shared/rpc/index.js';
import { samplerWire } from '../../../shared/contract/index.js';
import { command, type Group } from '../command.js';
import { samplerAddress, withSampler } from '../connect.js';
import { recipeFacts, timeOf } from '../describe-job.js';
import { formatBytes, formatCount, table } from '../format.js';
import { given } from '../given.js';
import { allPages } from '../pages.js';

const list = command({
  name: 'list',
  summary: 'lists the models that have a committed checkpoint',
  options: { address: samplerAddress },
  examples: [
    { arguments: '', does: 'all models of the sampler' },
    { arguments: '--json', does: 'one JSON object a model' },
  ],
  run: ({ options: { address } }, { terminal, signal }) =>
    withSampler(address, signal, async (client) => {
      const found = await allPages(async (pageToken) => {
        const page = await callUnary(client, client.listModels, { pageSize: 0, pageToken }, { signal });
        return { items: page.models, nextPageToken: page.nextPageToken };
      });
      for (const model of found) terminal.emit(samplerWire.Model.toJSON(model) as object);
      const rows = found.map(({ name, latest, versions }) => [
        name,
        latest === undefined ? '' : formatCount(latest.step),
        versions.map(String).join(', '),
        latest?.emaRates.join(', ') ?? '',
        timeOf(latest?.createTime),
      ]);
      if (rows.length === 0) terminal.print('no models yet; train one with: npx ip-diffusion train');
      else
        for (const line of table([['MODEL', 'STEP', 'VERSIONS', 'EMA RATES', 'COMMITTED'], ...rows]))
          terminal.print(line);
      return 0;
    }),
});

const show = command({
  name: 'show',
  summary: "shows a model's newest checkpoint: how it was trained and what it holds",
  positionals: [{ name: 'MODEL', help: 'the name of a model' }],
  options: { address: samplerAddress },
  examples: [{ arguments: 'MODEL', does: 'gamma, schedule, EMA rates, versions' }],
  run: ({ options: { address }, positionals: [name = ''] }, { terminal, signal }) =>
    withSampler(address, signal, async (client) => {
      const model = given((await callUnary(client, client.getModel, { model: name }, { signal })).model);
      terminal.emit(samplerWire.Model.toJSON(model) as object);
      for (const line of describeModel(model)) terminal.print(line);
      return 0;
    }),
});

export const models: Group = {
  name: 'models',
  summary: 'lists and shows the models that can be sampled from',
  commands: [list, show],
  otherwise: list,
};

function describeModel({ name, latest, versions }: samplerWire.Model): string[] {
  const { step, jobId, samplesSeen, emaRates, objects, recipe, engine, createTime, manifestSha256 } =
    given(latest);
  const bytes = objects.reduce((sum, { sizeBytes }) => sum + Number(sizeBytes), 0);
  return table([
    ['model', name],
    [
      'newest',
      `step ${formatCount(step)}${samplesSeen > 0n ? `, ${formatCount(samplesSeen)} images seen` : ''}`,
    ],
    ['versions', versions.map(String).join(', ')],
    ['EMA rates', emaRates.join(', ')],
    ...recipeFacts(given(recipe)),
    ['size', formatBytes(bytes)],
    ['job', jobId],
    ...(engine === undefined ? [] : [['engine', `TensorFlow ${engine.tensorflow} on ${engine.platform}`]]),
    ['committed', timeOf(createTime)],
    ['manifest', manifestSha256],
  ]);
}
