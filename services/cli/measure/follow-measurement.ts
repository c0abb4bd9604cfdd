/** A measurement that the sampler makes: created, followed on the terminal, and its result. */

import { randomUUID } from 'node:crypto';

import {
  measurementStates,
  measurementToWire,
  measureWire,
  resultFromWire,
  type MeasurementResult,
} from '../../../shared/contract/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';
import type { MeasurementRequest } from '../../../shared/measuring/index.js';
import { callStream, callUnary } from '../../../shared/rpc/index.js';
import type { Context, ExitCode } from '../command.js';
import { withMeasure, type Connection, type MeasureClient } from '../connect.js';
import { formatCount } from '../format.js';
import { given } from '../given.js';
import { watchStream } from '../watch-stream.js';
import { stageProgress } from './stage-progress.js';
import { printResults, writeResults } from './write-results.js';

export interface FollowOptions {
  /** The page's title. */
  readonly title: string;
  /** A folder for the result; it is only printed where it is undefined. */
  readonly out: string | undefined;
}

/** Creates a measurement, follows it unless `detach`, and prints its result. Ctrl-C ends only the following. */
export async function measureOnServer(
  request: MeasurementRequest,
  { detach, ...options }: FollowOptions & { readonly detach: boolean },
  connection: Connection,
  context: Context,
): Promise<ExitCode> {
  const { terminal, signal } = context;
  return withMeasure(connection, signal, async (client) => {
    const wire = { spec: measurementToWire(request), requestId: randomUUID() };
    const created = await callUnary(client, client.createMeasurement, wire, { signal });
    const measurement = given(created.measurement);
    const { measurementId: id } = measurement;
    terminal.print(`measurement ${id}`);
    if (detach) {
      terminal.emit(asJson(measureWire.Measurement.toJSON(measurement)));
      printHints(id, connection, context);
      return 0;
    }
    try {
      return await followMeasurement(client, id, options, context);
    } catch (error) {
      if (signal.aborted) printHints(id, connection, context);
      throw error;
    }
  });
}

/** Shows a measurement until it ends, then its result. @returns 0 where it succeeded, 1 otherwise. */
export async function followMeasurement(
  client: MeasureClient,
  id: string,
  options: FollowOptions,
  context: Context,
): Promise<ExitCode> {
  const { terminal } = context;
  const ended = await watchToEnd(client, id, context);
  const state = measurementStates.read(ended.state);
  if (state !== 'SUCCEEDED') {
    terminal.emit(asJson(measureWire.Measurement.toJSON(ended)));
    terminal.print(`${(state ?? 'ended').toLowerCase()}: ${ended.message}`);
    return 1;
  }
  if (ended.fromCache) terminal.print('an earlier measurement of the same inputs had this result');
  await showResult(client, id, options, context);
  return 0;
}

/** Prints the result of a measurement that succeeded, and writes it where a folder is given. */
export async function showResult(
  client: MeasureClient,
  id: string,
  { title, out }: FollowOptions,
  context: Context,
): Promise<void> {
  const result = await fetchResult(client, id, context.signal);
  printResults(result, context);
  if (out !== undefined) context.terminal.print(`written: ${await writeResults(title, out, result)}`);
}

/**
 * Measures in a sampler, and waits for the result. Ctrl-C stops only the waiting.
 *
 * @throws DiffusionError as the service; MEASUREMENT_WITHOUT_RESULT where the measurement failed or was cancelled.
 */
export async function resultOnServer(
  client: MeasureClient,
  request: MeasurementRequest,
  context: Context,
): Promise<MeasurementResult> {
  const { signal } = context;
  const wire = { spec: measurementToWire(request), requestId: randomUUID() };
  const created = await callUnary(client, client.createMeasurement, wire, { signal });
  const { measurementId: id } = given(created.measurement);
  const { state: ended, message } = await watchToEnd(client, id, context);
  const state = measurementStates.read(ended);
  if (state === 'SUCCEEDED') return fetchResult(client, id, signal);
  const text = `measurement ${id} of ${request.model} ${(state ?? 'ended').toLowerCase()}: ${message}`;
  throw new DiffusionError('MEASUREMENT_WITHOUT_RESULT', text);
}

async function fetchResult(
  client: MeasureClient,
  measurementId: string,
  signal: AbortSignal,
): Promise<MeasurementResult> {
  const parts: measureWire.GetMeasurementResultResponse[] = [];
  const request = { measurementId };
  for await (const part of callStream(client, client.getMeasurementResult, request, { signal }))
    parts.push(part);
  return resultFromWire(parts);
}

async function watchToEnd(
  client: MeasureClient,
  measurementId: string,
  context: Context,
): Promise<measureWire.Measurement> {
  const { terminal, signal } = context;
  const progress = stageProgress(context);
  const onDisconnect = (): void => {
    terminal.print('lost the connection to the sampler; reconnecting');
  };
  const open = (after: string): AsyncGenerator<measureWire.WatchMeasurementResponse> =>
    callStream(client, client.watchMeasurement, { measurementId, after }, { signal });
  try {
    for await (const { event } of watchStream(client, open, { signal, onDisconnect })) {
      switch (event?.$case) {
        case 'progress': {
          const { stage, done, total } = event.value;
          if (total === 0n) progress.update(stage, undefined);
          else
            progress.update(stage, Number(done) / Number(total), [
              `${formatCount(done)}/${formatCount(total)}`,
            ]);
          break;
        }
        case 'stateChanged':
          terminal.print(
            `${measurementStates.read(event.value.state)?.toLowerCase() ?? ''}: ${event.value.message}`,
          );
          break;
        case 'terminal':
          return event.value;
      }
    }
  } finally {
    progress.end();
  }
  throw new DiffusionError('SERVICE_UNREACHABLE', 'the sampler ended the watch before the measurement ended');
}

function printHints(id: string, { address }: Connection, { terminal }: Context): void {
  terminal.print('the measurement goes on without this command');
  terminal.print(`  watch it:  npx ip-diffusion measure watch ${id} --server ${address}`);
  terminal.print(`  cancel it: npx ip-diffusion measure cancel ${id} --server ${address}`);
}

// The generated `toJSON` has the type `unknown`; a message's JSON is an object.
export function asJson(value: unknown): object {
  return value as object;
}
