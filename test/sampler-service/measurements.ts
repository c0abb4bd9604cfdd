/** A client of measurements, for tests. */

import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import {
  measurementStates,
  measurementToWire,
  resultFromWire,
  type measureWire,
  type MeasurementResult,
} from '../../shared/contract/index.js';
import type { MeasurementRequest, MeasurementTask } from '../../shared/measuring/index.js';
import { deriveKey, gaussian } from '../../shared/random/index.js';
import { callStream, callUnary } from '../../shared/rpc/index.js';
import { npyOf, npzOf } from '../dataset/npzs.js';

type Client = measureWire.MeasureServiceClient;

export const IMAGES = 40;

/** An archive of so many 8x8 images. */
export async function imagesFile(count = IMAGES, size = 8): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), 'measured-')), 'images.npz');
  const pixels = Uint8Array.from(
    gaussian(deriveKey(1n, 'pixels'), [], count * size * size * 3),
    (z) => 128 + 40 * z,
  );
  await writeFile(path, npzOf({ arr_0: npyOf('|u1', [count, size, size, 3], pixels) }));
  return path;
}

/** A request of 20 trajectories of the tiny model in four steps, or what the fields say. */
export function asked(fields: Partial<MeasurementRequest> = {}): MeasurementRequest {
  return {
    ...{ model: 'tiny', checkpointStep: undefined, weights: undefined, precision: 'float32' },
    ...{ images: 20, seed: 3n, data: '', dataKind: '', task: EXPOSURE },
    ...fields,
  };
}

export const EXPOSURE: MeasurementTask = {
  kind: 'exposure',
  sampler: { sampler: 'ancestral', steps: 4 },
  measures: ['energy_ratio', 'epsilon_norm'],
  settings: { energy_ratio: { bands: 2 } },
};

export async function create(
  client: Client,
  request: MeasurementRequest,
  requestId = '',
): Promise<measureWire.Measurement> {
  const wire = { spec: measurementToWire(request), requestId };
  const { measurement } = await callUnary(client, client.createMeasurement, wire);
  if (measurement === undefined) throw new Error('no measurement was created');
  return measurement;
}

export async function get(client: Client, measurementId: string): Promise<measureWire.Measurement> {
  const { measurement } = await callUnary(client, client.getMeasurement, { measurementId });
  if (measurement === undefined) throw new Error('no measurement was found');
  return measurement;
}

/** All events until the terminal one. */
export async function watched(
  client: Client,
  measurementId: string,
  after = '',
): Promise<measureWire.WatchMeasurementResponse[]> {
  const events = [];
  for await (const event of callStream(client, client.watchMeasurement, { measurementId, after }))
    events.push(event);
  return events;
}

/** The measurement as it ended. */
export async function ended(client: Client, measurementId: string): Promise<measureWire.Measurement> {
  const last = (await watched(client, measurementId)).at(-1);
  if (last?.event?.$case !== 'terminal') throw new Error('the watch ended without a terminal event');
  return last.event.value;
}

export function stateOf({ state }: measureWire.Measurement): string | undefined {
  return measurementStates.read(state);
}

export async function resultOf(client: Client, measurementId: string): Promise<MeasurementResult> {
  const parts = [];
  for await (const part of callStream(client, client.getMeasurementResult, { measurementId }))
    parts.push(part);
  return resultFromWire(parts);
}
