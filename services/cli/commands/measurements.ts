/** `measure list`, `watch`, `show`, `cancel` and `delete`: measurements of the sampler. */

import {
  MEASUREMENT_STATES,
  measurementStates,
  measureWire,
  type MeasurementState,
} from '../../../shared/contract/index.js';
import { callUnary, DEFAULT_ADDRESSES } from '../../../shared/rpc/index.js';
import { command, type Context } from '../command.js';
import { SAMPLER_VARIABLE } from '../config.js';
import { connectionOptions, withMeasure, type MeasureClient } from '../connect.js';
import { timeOf } from '../describe-job.js';
import { table } from '../format.js';
import { given } from '../given.js';
import { asJson, followMeasurement, showResult } from '../measure/follow-measurement.js';
import { address, listOf, option, text, type Values } from '../options.js';
import { allPages } from '../pages.js';

const MEASUREMENT = { name: 'MEASUREMENT', help: 'the id of a measurement' };

const connection = {
  server: option(address, "the sampler's address", {
    fallback: DEFAULT_ADDRESSES.sampler,
    environment: SAMPLER_VARIABLE,
  }),
  ...connectionOptions,
};

const out = option(text('DIR'), 'folder for results.json, results.csv, report.html and pictures (SVG, PNG)');

function connected<T>(
  { server, ...security }: Values<typeof connection>,
  { signal }: Context,
  use: (client: MeasureClient) => Promise<T>,
): Promise<T> {
  return withMeasure({ address: server, ...security }, signal, use);
}

export const listMeasurements = command({
  name: 'list',
  summary: 'lists measurements of the sampler, newest first',
  options: {
    state: option(
      listOf(MEASUREMENT_STATES, 'STATE,...'),
      `only those in one of these states: ${MEASUREMENT_STATES.join(', ')}`,
    ),
    model: option(text('PREFIX'), 'only those of models whose names begin with this'),
    ...connection,
  },
  examples: [{ arguments: '--state pending,running', does: 'what the sampler measures now' }],
  run: ({ options: { state = [], model = '', ...to } }, context) =>
    connected(to, context, async (client) => {
      const { terminal, signal } = context;
      const filter = {
        states: state.map((each: MeasurementState) => measurementStates.write(each)),
        modelPrefix: model,
      };
      const found = await allPages(async (pageToken) => {
        const request = { pageSize: 0, pageToken, ...filter };
        const page = await callUnary(client, client.listMeasurements, request, { signal });
        return { items: page.measurements, nextPageToken: page.nextPageToken };
      });
      for (const each of found) terminal.emit(asJson(measureWire.Measurement.toJSON(each)));
      const rows = found.map((each) => [
        each.measurementId,
        each.spec?.kind?.$case ?? '',
        each.spec?.model ?? '',
        stateOf(each),
        timeOf(each.createTime),
      ]);
      const heading = ['MEASUREMENT', 'KIND', 'MODEL', 'STATE', 'CREATED'];
      if (rows.length === 0) terminal.print('no measurements');
      else for (const line of table([heading, ...rows])) terminal.print(line);
      return 0;
    }),
});

export const watchMeasurement = command({
  name: 'watch',
  summary: 'follows a measurement, through restarts of the sampler, and shows its result',
  positionals: [MEASUREMENT],
  options: { out, ...connection },
  examples: [{ arguments: 'MEASUREMENT --out report', does: 'wait for the result, and write it' }],
  notes: ['Exit code: 0 where the measurement succeeded, 1 where it failed or was cancelled.'],
  run: ({ options: { out: folder, ...to }, positionals: [id = ''] }, context) =>
    connected(to, context, (client) =>
      followMeasurement(client, id, { title: `Measurement ${id}`, out: folder }, context),
    ),
});

export const showMeasurement = command({
  name: 'show',
  summary: 'shows a measurement, and its result where it has one',
  positionals: [MEASUREMENT],
  options: { out, ...connection },
  examples: [{ arguments: 'MEASUREMENT --out report', does: 'write its result with pictures and a page' }],
  run: ({ options: { out: folder, ...to }, positionals: [measurementId = ''] }, context) =>
    connected(to, context, async (client) => {
      const { terminal, signal } = context;
      const response = await callUnary(client, client.getMeasurement, { measurementId }, { signal });
      const measurement = given(response.measurement);
      terminal.emit(asJson(measureWire.Measurement.toJSON(measurement)));
      terminal.print(`${stateOf(measurement)}: ${measurement.message}`);
      if (stateOf(measurement) === 'succeeded')
        await showResult(
          client,
          measurementId,
          { title: `Measurement ${measurementId}`, out: folder },
          context,
        );
      return 0;
    }),
});

export const cancelMeasurement = command({
  name: 'cancel',
  summary: 'ends a measurement',
  positionals: [MEASUREMENT],
  options: { ...connection },
  examples: [{ arguments: 'MEASUREMENT', does: 'end it without a result' }],
  run: ({ options: to, positionals: [measurementId = ''] }, context) =>
    connected(to, context, async (client) => {
      const { terminal, signal } = context;
      const response = await callUnary(client, client.cancelMeasurement, { measurementId }, { signal });
      const measurement = given(response.measurement);
      terminal.emit(asJson(measureWire.Measurement.toJSON(measurement)));
      terminal.print(stateOf(measurement) === 'running' ? 'cancelling' : stateOf(measurement));
      return 0;
    }),
});

export const deleteMeasurement = command({
  name: 'delete',
  summary: 'deletes an ended measurement with its result',
  positionals: [MEASUREMENT],
  options: { ...connection },
  examples: [{ arguments: 'MEASUREMENT', does: 'its result is no longer stored' }],
  run: ({ options: to, positionals: [measurementId = ''] }, context) =>
    connected(to, context, async (client) => {
      const { terminal, signal } = context;
      await callUnary(client, client.deleteMeasurement, { measurementId }, { signal });
      terminal.emit({ deleted: measurementId });
      terminal.print(`deleted measurement ${measurementId}`);
      return 0;
    }),
});

function stateOf({ state }: measureWire.Measurement): string {
  return (measurementStates.read(state) ?? 'unknown').toLowerCase();
}
