/** A model of many samplers over one store: arithmetic on measured costs and stated assumptions. No more than that. */

export interface Quantity {
  readonly value: number;
  readonly unit: string;
  /** Where the value is from. */
  readonly source: string;
}

/** Of the network of 8 million parameters on 32 x 32 pixels, two cores for each sampler; `npm run bench -- scaling`. */
export const MEASURED = {
  passMs: {
    value: 179,
    unit: 'ms',
    source:
      'a forward pass of 16 rows in float32, README ("Speed"), two cores of an Intel Xeon (Emerald Rapids)',
  },
  passRows: {
    value: 16,
    unit: 'rows',
    source: 'the largest pass of a sampler (`services/sampler/config.ts`)',
  },
  startSeconds: {
    value: 3.4,
    unit: 's',
    source: "from the start of a sampler's process to its first image, on a busy machine",
  },
  storeCallsPerCall: {
    value: 4,
    unit: 'calls',
    source:
      '3 gets and a list for each Generate call, counted by `ip_diffusion_store_calls_total`; none while idle',
  },
  series: { value: 270, unit: 'series', source: "a sampler's metrics after its first calls" },
  imageBytes: {
    value: 975,
    unit: 'bytes',
    source: 'the mean PNG of every ninth emoji on 32 x 32 pixels; photographs take up to 3,072',
  },
} as const satisfies Readonly<Record<string, Quantity>>;

export const ASSUMED = {
  steps: { value: 50, unit: 'steps', source: 'for each image, one forward pass a step' },
  weightsBytes: {
    value: 32e6,
    unit: 'bytes',
    source: '8 million parameters of float32, which a sampler reads when it loads',
  },
  storeBytesPerSecond: { value: 1.25e9, unit: 'bytes/s', source: 'one S3 server on 10 Gbit/s' },
  storeCallsPerSecond: { value: 2000, unit: 'calls/s', source: 'small gets of one S3 server' },
  drainSeconds: { value: 45, unit: 's', source: '`sampler.drainSeconds` of the chart, in the worst case' },
  scrapeSeconds: { value: 15, unit: 's', source: 'between two readings of the metrics' },
} as const satisfies Readonly<Record<string, Quantity>>;

export interface Scale {
  readonly imagesPerSecond: number;
  readonly imagesPerDay: number;
  /** Of images alone. */
  readonly imageBytesPerSecond: number;
  /** For calls of one image, and of 16. */
  readonly storeCallsPerSecond: readonly [ofOne: number, ofSixteen: number];
  /** Until all have read their weights, where they start at once. */
  readonly loadSeconds: number;
  /** Until all have been replaced, one after the other, and an eighth of them at once. */
  readonly rolloutSeconds: readonly [oneByOne: number, byEighths: number];
  readonly samplesPerSecond: number;
}

export const SAMPLER_COUNTS = [1, 8, 64, 512];
const SECONDS_OF_DAY = 86_400;

/** What one busy sampler gives. */
export function imagesPerSecondOfOne(): number {
  const { passMs, passRows } = MEASURED;
  return passRows.value / ((passMs.value / 1000) * ASSUMED.steps.value);
}

export function samplersFor(imagesPerDay: number): number {
  return Math.ceil(imagesPerDay / SECONDS_OF_DAY / imagesPerSecondOfOne());
}

/** With every sampler busy. */
export function scaleOf(samplers: number): Scale {
  const imagesPerSecond = samplers * imagesPerSecondOfOne();
  const callsAt = (imagesOfCall: number): number =>
    (imagesPerSecond / imagesOfCall) * MEASURED.storeCallsPerCall.value;
  const replacement = MEASURED.startSeconds.value + ASSUMED.drainSeconds.value;
  const rounds = (atOnce: number): number => Math.ceil(samplers / atOnce) * replacement;
  return {
    imagesPerSecond,
    imagesPerDay: imagesPerSecond * SECONDS_OF_DAY,
    imageBytesPerSecond: imagesPerSecond * MEASURED.imageBytes.value,
    storeCallsPerSecond: [callsAt(1), callsAt(16)],
    loadSeconds:
      MEASURED.startSeconds.value +
      (samplers * ASSUMED.weightsBytes.value) / ASSUMED.storeBytesPerSecond.value,
    rolloutSeconds: [rounds(1), rounds(Math.max(1, Math.ceil(samplers / 8)))],
    samplesPerSecond: (samplers * MEASURED.series.value) / ASSUMED.scrapeSeconds.value,
  };
}
