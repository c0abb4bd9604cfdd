/** One measurement of a model: in a process of this command, or in a sampler. */

import { resolve } from 'node:path';

import type { MeasurementTask } from '../../../shared/measuring/index.js';
import { hasScheme } from '../../../shared/store/index.js';
import type { Context, ExitCode } from '../command.js';
import type { Values } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import { measureOnServer } from './follow-measurement.js';
import type { serverOptions } from './measure-options.js';
import { runMeasuring, type MeasuredWith } from './run-measuring.js';
import { printResults, writeResults } from './write-results.js';

type ServerValues = Values<typeof serverOptions>;

export interface ShownAs extends ServerValues {
  readonly title: string;
  readonly out: string | undefined;
}

/** @throws UsageError for flags that exclude each other; DiffusionError as `runMeasuring` and the service. */
export async function measureModel(
  task: Exclude<MeasurementTask, { readonly kind: 'quality' }>,
  asked: MeasuredWith,
  { title, out, ...server }: ShownAs,
  context: Context,
): Promise<ExitCode> {
  if (server.server !== undefined) return onServer(task, asked, { title, out, ...server }, context);
  refuseDetach(server, `ip-diffusion measure ${task.kind}`);
  const measured = await runMeasuring(task, asked, context);
  printResults(measured, context);
  if (out !== undefined) context.terminal.print(`written: ${await writeResults(title, out, measured)}`);
  return 0;
}

/** @throws UsageError where there is no server, or a store besides. */
export function onServer(
  task: MeasurementTask,
  asked: MeasuredWith,
  { title, out, server, detach, ca, cert, key, tokenFile }: ShownAs,
  context: Context,
): Promise<ExitCode> {
  const { model, checkpoint, weights, precision, images, seed, data, dataKind, store } = asked;
  const usage = `ip-diffusion measure ${task.kind}`;
  if (server === undefined) throw new UsageError('wanted --server', usage);
  if (store !== undefined)
    throw new UsageError('--store and --server exclude each other: the sampler has its own store', usage);
  const request = {
    ...{ model, checkpointStep: checkpoint, weights, precision, images, seed, task },
    data: data === undefined ? '' : hasScheme(data) ? data : resolve(data),
    dataKind: dataKind ?? '',
  };
  const connection = { address: server, ca, cert, key, tokenFile };
  return measureOnServer(request, { title, out, detach }, connection, context);
}

export function refuseDetach({ detach }: Pick<ServerValues, 'detach'>, usage: string): void {
  if (detach) throw new UsageError('--detach needs --server', usage);
}
