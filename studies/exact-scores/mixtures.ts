/** The same questions where nothing is linear: a mixture of clouds in four dimensions, through the samplers as they are. */
import { drain, imageNoise, samplerPlan, solver } from '../../shared/sampler/index.js';
import { bootstrap, energyDistance, pairDistances } from '../../shared/statistics/index.js';
import type { Bench } from '../study.js';
import { contractOf, DDPM, ip, mixture, mixtureImages, mixtureModel, y } from './closed-forms.js';
import { SAMPLER_CASES, settingsOf } from '../cases.js';

const SETTINGS = {
  clouds: 8,
  deviation: 0.15,
  samples: 1500,
  seed: '1',
  steps: [10, 20, 50],
  rhos: [0, 0.3, 1],
  resamples: 40,
};

export async function mixtures(bench: Bench): Promise<void> {
  const { clouds, deviation, samples, seed, steps: allSteps, rhos, resamples } = SETTINGS;
  const rows = await bench.piece('mixtures', SETTINGS, async (say) => {
    const data = mixture(2, clouds, deviation, 1n);
    const contract = contractOf(1, 'fixed_small', 'cosine');
    const real = mixtureImages(data, 2n, samples);
    const reference = await all(samples, (index) => real.image(index));
    const ones = new Uint32Array(samples).fill(1);
    const found = [];
    for (const sampler of SAMPLER_CASES)
      for (const steps of allSteps)
        for (const rho of rhos) {
          const plan = samplerPlan(settingsOf(sampler, steps), contract);
          const distances = async (variant: typeof DDPM) => {
            const { predict } = mixtureModel(data, contract, { variant, rho });
            const sampled = await all(samples, (index) =>
              drain(solver({ plan, predict, noise: imageNoise(BigInt(seed), index, 4) })),
            );
            return pairDistances(sampled, reference);
          };
          const base = await distances(DDPM);
          for (const [name, variant] of [
            ['DDPM-y 0.1', y(0.1)],
            ['DDPM-IP 0.1', ip(0.1)],
          ] as const) {
            const other = await distances(variant);
            // Both variants have the same noise, so a sample of one goes with that of the other.
            const { value, low, high } = bootstrap(
              [samples, samples],
              (counts = ones, ofReference = ones) =>
                energyDistance(other, counts, ofReference) - energyDistance(base, counts, ofReference),
              { seed: BigInt(seed), resamples },
            );
            const ofDdpm = energyDistance(base, ones, ones);
            found.push({ sampler, steps, rho, variant: name, ddpm: ofDdpm, change: value, low, high });
          }
          say(`${sampler}, ${steps} steps, network error ${rho}`);
        }
    return found;
  });
  await bench.table('mixtures', rows);
}

function all(count: number, one: (index: number) => Promise<Float32Array>): Promise<Float32Array[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => one(index)));
}
