/** `pipeline watch`, `pipeline list`, `pipeline cancel`. */

import { command } from '../command.js';
import { table } from '../format.js';
import { integer, option } from '../options.js';
import type { VariantResult } from '../pipeline/pipelines.js';
import { reportLines } from '../pipeline/report.js';
import { temporalOptions, withTemporal } from '../pipeline/temporal-options.js';
import { describePipeline, watchPipeline } from '../pipeline/watch-pipeline.js';

const PIPELINE = { name: 'ID', help: 'the id of a pipeline, as `pipeline list` shows it' };

export const pipelineWatch = command({
  name: 'watch',
  summary: 'follows a pipeline until it has ended, and shows what came out',
  positionals: [PIPELINE],
  options: temporalOptions,
  examples: [{ arguments: 'ID', does: 'Ctrl-C stops watching; the pipeline continues' }],
  run: ({ options, positionals: [id = ''] }, context) =>
    withTemporal(options, 'ip-diffusion pipeline watch', context, async (client, packages) => {
      const { terminal } = context;
      const result = await watchPipeline(client, packages, id, context);
      terminal.emit({ event: 'completed', id, result });
      for (const line of resultLines(id, result)) terminal.print(line);
      return 0;
    }),
});

/** What any of the pipelines gives. */
interface AnyResult {
  readonly out?: string;
  readonly images?: number;
  readonly measured?: VariantResult['measured'];
  readonly variants?: readonly VariantResult[];
}

function resultLines(id: string, result: unknown): string[] {
  const { out = '', images, measured, variants } = result as AnyResult;
  const rows = variants ?? (measured === undefined ? [] : [{ name: id, measured }]);
  return [
    `${id} is complete: ${images === undefined ? '' : `${images} images in `}${out}`,
    ...(rows.length === 0 ? [] : reportLines(rows)),
  ];
}

export const pipelineList = command({
  name: 'list',
  summary: 'lists the pipelines of a queue, the newest first',
  options: { limit: option(integer(1, 1000), 'at most this many', { fallback: 50 }), ...temporalOptions },
  examples: [{ arguments: '', does: 'with state and time' }],
  run: ({ options }, context) =>
    withTemporal(options, 'ip-diffusion pipeline list', context, async (client) => {
      const { terminal } = context;
      const query = `TaskQueue = '${options.queue.replaceAll("'", "''")}'`;
      const rows: string[][] = [];
      for await (const { workflowId, type, status, startTime, closeTime } of client.workflow.list({
        query,
      })) {
        terminal.emit({ id: workflowId, pipeline: type, state: status.name, startTime, closeTime });
        rows.push([workflowId, type, status.name, startTime.toISOString()]);
        if (rows.length >= options.limit) break;
      }
      if (rows.length === 0)
        terminal.print('no pipelines yet; start one with: npx ip-diffusion pipeline submit');
      else for (const line of table([['ID', 'PIPELINE', 'STATE', 'STARTED'], ...rows])) terminal.print(line);
      return 0;
    }),
});

export const pipelineCancel = command({
  name: 'cancel',
  summary: 'cancels a pipeline: its workers end within a step, what is complete stays',
  positionals: [PIPELINE],
  options: temporalOptions,
  examples: [{ arguments: 'ID', does: 'submitted again, it goes on with what is missing' }],
  run: ({ options, positionals: [id = ''] }, context) =>
    withTemporal(options, 'ip-diffusion pipeline cancel', context, async (client) => {
      const { status } = await describePipeline(client, id);
      if (status.name === 'RUNNING') await client.workflow.getHandle(id).cancel();
      context.terminal.emit({ id, state: status.name === 'RUNNING' ? 'CANCELLING' : status.name });
      context.terminal.print(
        status.name === 'RUNNING' ? `${id} is being cancelled` : `${id} has ended: ${status.name}`,
      );
      return 0;
    }),
});
