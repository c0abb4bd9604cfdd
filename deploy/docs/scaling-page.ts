/** docs/scaling.md: how the pair grows, with the figures of the model. */

import {
  ASSUMED,
  MEASURED,
  SAMPLER_COUNTS,
  samplersFor,
  scaleOf,
  type Quantity,
  type Scale,
} from './scaling-model.js';

const MILLION = 1e6;

const number = (value: number): string => value.toLocaleString('en-US', { maximumSignificantDigits: 3 });

/** A row a figure, a column a number of samplers. */
const ROWS: Readonly<Record<string, (scale: Scale) => string>> = {
  'images a second': ({ imagesPerSecond }) => number(imagesPerSecond),
  'images a day, million': ({ imagesPerDay }) => number(imagesPerDay / MILLION),
  'bytes of images a second, MB': ({ imageBytesPerSecond }) => number(imageBytesPerSecond / MILLION),
  'store calls a second, one image a call': ({ storeCallsPerSecond }) => number(storeCallsPerSecond[0]),
  'store calls a second, 16 images a call': ({ storeCallsPerSecond }) => number(storeCallsPerSecond[1]),
  'all start at once, s': ({ loadSeconds }) => number(loadSeconds),
  'all replaced one by one, min': ({ rolloutSeconds }) => number(rolloutSeconds[0] / 60),
  'all replaced by eighths, min': ({ rolloutSeconds }) => number(rolloutSeconds[1] / 60),
  'samples a second for Prometheus': ({ samplesPerSecond }) => number(samplesPerSecond),
};

export function scalingPage(): string {
  const scales = SAMPLER_COUNTS.map(scaleOf);
  const limit = ASSUMED.storeCallsPerSecond.value;
  const page = [
    '# Growing',
    '**This is a model, not a measurement.** It multiplies costs that were measured on one machine by numbers of machines, under the assumptions below. Nothing of more than one machine was measured. [`deploy/docs/scaling-model.ts`](../deploy/docs/scaling-model.ts) is the whole model; change a value there, and `npm run docs` writes this page again.',
    '## Measured and assumed values',
    table(['', 'value', 'from'], [...rowsOf('measured', MEASURED), ...rowsOf('assumed', ASSUMED)]),
    '`npm run bench -- scaling` measures these again. On two cores of an AMD EPYC, beside some 60 other processes with a higher priority, it found 241 ms and 254 ms for a pass, 3.4 s until the first image, 4 calls, 270 series and 975 bytes: a pass took a third more than the 179 ms on the machine with nothing else running.',
    '## Samplers',
    table(
      ['samplers, all busy', ...SAMPLER_COUNTS.map(String)],
      Object.entries(ROWS).map(([title, text]) => [title, ...scales.map(text)]),
    ),
    `A million images a day need ${samplersFor(MILLION)} samplers of two cores that are busy all day. With half of the steps, half of them.`,
    '## What limits growth',
    [
      `- **The store's small calls come first.** Each call looks up the newest checkpoint. With one image a call, 512 samplers would make more than ${number(limit)} calls a second, which one S3 server is assumed to answer. Ask for several images in a call; batches do.`,
      '- **Weights are read by each sampler.** All starting at once, 512 samplers wait for the network of one server; a larger network takes proportionally longer (57 million parameters: seven times).',
      '- **Rollouts take the longest.** One by one (`maxSurge: 1`, the chart), 64 samplers take most of an hour. Samplers stop earlier where calls are short; raise `maxSurge` where there is room.',
      '- **The queue is no limit.** Each sampler has its own, and none knows of another. So uneven clients make uneven queues: a client that holds one connection stays with one sampler. Use the headless service with `round_robin`. A fair order holds within a sampler, not among them.',
      '- **The network is no limit** for images of this size. At 256 x 256 pixels an image is some 60 times as large.',
      '- **Each client holds a connection to each sampler.** 100 clients and 512 samplers are 51,200 connections: put a proxy (Envoy) between them from some 10,000 on.',
    ].join('\n'),
    '## One GPU, one machine with many, many machines',
    [
      '- **One GPU.** The engine for accelerators is not part of this model: none of its costs is measured here. The structure is the same, one engine process a model, and passes would be larger.',
      '- **One machine with many.** A sampler an accelerator, each with its share of cores and its own port; the store and the clients see no difference from many machines.',
      '- **Many machines.** Samplers share nothing but the store, so they are added by number. Trainers share jobs by leases: more trainers train more jobs, not one job faster. One job on many machines needs all-reduce, which the trainer does not have.',
      '- **Training and the store.** A checkpoint of 8 million parameters with EMA weights and moments is some 130 MB. A commit every ten minutes from each of 64 trainers is 14 MB a second.',
    ].join('\n'),
    'Generated from the model by `npm run docs`.',
  ];
  return `${page.join('\n\n')}\n`;
}

function rowsOf(kind: string, quantities: Readonly<Record<string, Quantity>>): string[][] {
  return Object.values(quantities).map(({ value, unit, source }) => [
    kind,
    `${value.toLocaleString('en-US')} ${unit}`,
    source,
  ]);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
