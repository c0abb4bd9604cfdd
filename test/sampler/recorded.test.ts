/** The bits of all samplers: a change of them changes every image that is made again from its provenance. */
import { createHash } from 'node:crypto';

import test from 'ava';

import { at } from '../../shared/foundation/index.js';
import { encode, SAMPLERS, samplerPlan, solver } from '../../shared/sampler/index.js';
import type {
  DiffusionContract,
  Predict,
  SamplerSettings,
  SamplerStep,
  SolverOptions,
} from '../../shared/sampler/index.js';
import { collect, toyContract, toyNoise } from './toy.js';

const CHANNELS = 2;
const LENGTH = 4 * 4 * CHANNELS;
const noise = toyNoise(LENGTH);
const image = noise(90).map((value) => Math.max(-1, Math.min(1, value)));
const mask = image.map((_, e) => [0, 0.5, 1, 1][e % 4] ?? 0);

const CONTRACTS: Readonly<Record<string, DiffusionContract>> = {
  epsilon: { ...toyContract(), channels: CHANNELS },
  v: { ...toyContract('fixed_large'), channels: CHANNELS, meanType: 'v' },
  'x_start, learned range': { ...toyContract('learned_range'), channels: CHANNELS, meanType: 'x_start' },
  'previous_x, learned': { ...toyContract('learned'), channels: CHANNELS, meanType: 'previous_x' },
};

const SETTINGS: readonly Partial<SamplerSettings>[] = [
  {},
  { clipDenoised: false },
  { epsilonScaling: { k: 0.01, b: 1.02 }, scoreRescaling: { k: 0.9, sigma: 1 } },
  { dynamicThreshold: 0.9, waveletCorrection: 0.2 },
  { timeShift: { window: 100, cutoff: 100 }, varianceNormalisation: true },
  { guidanceScale: 2 },
  { steps: 1 },
  { steps: 3, spacing: 'leading' },
];

const BEGINNINGS: readonly Pick<SolverOptions, 'start' | 'inpaint'>[] = [
  {},
  { start: { kind: 'image', xStart: image, skippedSteps: 1 } },
  { start: { kind: 'latent', xT: noise(91) }, inpaint: { image, mask } },
];

/** Of everything that a step gives: by sampler, one for each contract. */
const RECORDED = {
  encode: '1f1ca712d9d06620 7ca195035adb23bc b2f86bd8575a3707 5892be60d0458c1d',
  ancestral: '5560017e7754d70d d2002ecd7f67bd50 f1e51c79dc87fe3f 5e215f9df5790363',
  ddim: '8505ca82a9c7a056 f86ced9c568a8f9a 1827884179e8b814 a9c160a29b7e872c',
  dpmpp_2m: '856dba3ee6a3a116 d3eaa09a65332572 00bf2efce591fe12 ffa45dc370a36ccc',
  dpmpp_2m_sde: '6679f5343d2733a5 879032c70d41ebb2 b08c31d51598d767 5f90fb5249fd01b4',
  euler: '8505ca82a9c7a056 f86ced9c568a8f9a 1827884179e8b814 a9c160a29b7e872c',
  unipc: 'ae1e9b30f679088c 3da5276434c77143 1ea6740058029606 33aa7ad75abcd230',
  'ddim with eta': 'ba7f74cc2e59fe64 87942e5cbde89b1d b58f09106b19dd0f 53ae33174127b5cb',
  heun: 'd45c94a4bd1871ba 0d37850e67a0334d 67d70e4ae35c8807 7a62862a79aff3c4',
};

/** No network, but its output depends on all that it gets, and by sums and products alone. */
function predictOf({ varianceType }: DiffusionContract): Predict {
  return ({ xT, t, y }) => {
    const mean = xT.map((given, e) => {
      const value = Math.max(-3, Math.min(3, given));
      return value * (0.9 - 0.0003 * t) + 0.05 * value * value - 0.01 * (e % 5) + 0.1 * y;
    });
    if (varianceType === 'fixed_small' || varianceType === 'fixed_large') return Promise.resolve(mean);
    const output = new Float32Array(2 * mean.length);
    for (const [e, value] of mean.entries()) {
      const place = Math.floor(e / CHANNELS) * 2 * CHANNELS + (e % CHANNELS);
      output[place] = value;
      output[place + CHANNELS] = 0.3 * value - 0.2;
    }
    return Promise.resolve(output);
  };
}

function update(hash: ReturnType<typeof createHash>, steps: readonly SamplerStep[]): void {
  for (const { sample, predXStart, state } of steps)
    for (const { buffer, byteOffset, byteLength } of [sample, predXStart, state.x, ...state.history])
      hash.update(Buffer.from(buffer, byteOffset, byteLength));
}

for (const sampler of [...SAMPLERS, 'ddim with eta', 'encode'] as const) {
  for (const [place, [name, contract]] of Object.entries(CONTRACTS).entries()) {
    test(`${sampler}, ${name}: the bits are the recorded ones`, async (t) => {
      const hash = createHash('sha256');
      const predict = predictOf(contract);
      for (const settings of SETTINGS) {
        if (sampler === 'encode' && settings.timeShift !== undefined) continue;
        const base: SamplerSettings =
          sampler === 'ddim with eta'
            ? { sampler: 'ddim', eta: 0.7, steps: 6 }
            : { sampler: sampler === 'encode' ? 'ddim' : sampler, steps: 6 };
        const options = { plan: samplerPlan({ ...base, ...settings }, contract), predict, noise, y: 1 };
        if (sampler === 'encode') {
          const start = { kind: 'image', xStart: image, skippedSteps: 0 } as const;
          update(hash, await collect(encode({ ...options, start })));
          continue;
        }
        for (const beginning of settings.steps === 1 ? BEGINNINGS.slice(0, 1) : BEGINNINGS)
          update(hash, await collect(solver({ ...options, ...beginning })));
      }
      t.is(hash.digest('hex').slice(0, 16), at(RECORDED[sampler].split(' '), place));
    });
  }
}
