/** Measurements over the wire and back. */

import test from 'ava';

import {
  measurementFromWire,
  measurementToWire,
  measureWire,
  resultFromWire,
  resultToWire,
} from '../../shared/contract/index.js';
import type { MeasureResult } from '../../shared/exposure/index.js';
import type {
  MeasurementContract,
  MeasurementRequest,
  MeasurementTask,
} from '../../shared/measuring/index.js';

const sampler = {
  sampler: 'ddim',
  steps: 4,
  eta: 0.5,
  spacing: 'even',
  epsilonScaling: { k: 0, b: 1.01 },
} as const;
const tasks: readonly MeasurementTask[] = [
  {
    kind: 'exposure',
    sampler,
    measures: ['delta', 'energy_ratio'],
    settings: { delta: {}, energy_ratio: { bands: 2 } },
    resamples: 50,
  },
  { kind: 'exposure', sampler },
  { kind: 'likelihood' },
  { kind: 'likelihood', steps: 7 },
  { kind: 'quality', sampler, extractor: 'dct', measures: ['frechet'] },
  { kind: 'quality', sampler, extractor: '/graph.pb' },
];

test('each task is itself after the wire, with the precision that it was asked in', (t) => {
  for (const task of tasks) {
    const request: MeasurementRequest = {
      ...{ model: 'tiny', checkpointStep: 0, weights: 'raw', precision: 'bfloat16', images: 9 },
      ...{ seed: 2n ** 64n - 1n, data: 's3://images/flowers', dataKind: 'bucket', task },
    };
    const bytes = measureWire.MeasurementSpec.encode(measurementToWire(request)).finish();
    t.deepEqual(measurementFromWire(measureWire.MeasurementSpec.decode(bytes)), request);
  }
  t.is(measurementFromWire(undefined).task, undefined);
});

const contract: MeasurementContract = {
  kind: 'quality',
  model: {
    ...{ name: 'tiny', checkpointStep: 7, manifestSha256: 'm', weights: 0.99, weightsSha256: 'w' },
    ...{ variant: 'ADM-IP', gamma: 0.1, precision: 'float32' },
  },
  sampler,
  ...{ steps: 4, images: 9, seed: '3', build: 'a build', seconds: 1.5 },
  data: { address: '/images', images: 40, sha256: 'd' },
  extractor: { name: 'dct', sha256: 'e', features: 192 },
};

const points = [0, 1].map((x) => ({ x, value: 1 / 3, low: NaN, high: Infinity }));
const withoutFigures: MeasureResult = {
  ...{ measure: 'energy_ratio', help: 'what it is', images: 9, seed: '3', steps: 4, sampler, level: 0.95 },
  settings: { bands: 2 },
  findings: [
    { name: 'with ideal', value: 0.1 + 0.2, low: 0, high: 1, ideal: 1 },
    { name: 'without', value: NaN, low: NaN, high: NaN },
  ],
  figures: [],
  notes: ['A sentence.'],
};
const result: MeasureResult = {
  ...withoutFigures,
  figures: [
    { name: 'a', title: 'A', x: 't', y: 'ratio', curves: [{ name: 'low', points }] },
    { name: 'b', title: 'B', x: 't', y: 'band', ideal: 1, curves: [], map: true },
    {
      name: 'c',
      title: 'C',
      x: 't',
      y: 'x',
      curves: [],
      scatter: true,
      logarithmic: true,
      marks: [{ x: 1, text: 'm' }],
    },
  ],
  pictures: [{ name: 'samples', images: 2, png: Buffer.from('a PNG').toString('base64') }],
};

test('a result is itself after the wire, to the last bit, each figure in a message of its own', (t) => {
  const parts = resultToWire({ contract, results: [result, withoutFigures] }, 'inputs');
  t.deepEqual(
    parts.map(({ part }) => part?.$case),
    ['contract', 'result', 'figure', 'figure', 'figure', 'result'],
  );
  const { part } = parts[0] ?? {};
  t.is(part?.$case === 'contract' && part.value.inputsSha256, 'inputs');
  const sent = parts.map((each) =>
    measureWire.GetMeasurementResultResponse.decode(
      measureWire.GetMeasurementResultResponse.encode(each).finish(),
    ),
  );
  const received = resultFromWire(sent);
  t.deepEqual(received.results, [result, withoutFigures]);
  t.deepEqual(received.contract, contract);
  t.throws(() => resultFromWire(sent.slice(1)));
});
