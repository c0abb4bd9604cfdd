/** What the study of exact scores finds, where it takes little time: these are its assertions. */
import test from 'ava';
import { at } from '../../shared/foundation/index.js';
import { samplerPlan, SAMPLERS } from '../../shared/sampler/index.js';
import {
  contractOf,
  DDPM,
  gaussianModel,
  ip,
  powerLaw,
  type Variant,
} from '../../studies/exact-scores/closed-forms.js';
import { distancesOf, exactDeviations } from '../../studies/exact-scores/exact-spread.js';
import { deltaFloor } from '../../studies/exact-scores/floors.js';
import { change, settingsOf, type SamplerCase } from '../../studies/cases.js';
import { exactDistances, type ProcessName } from '../../studies/exact-scores/gaussian-case.js';
import { agrees, gateRow } from '../../studies/exact-scores/gate.js';
import { identityRow } from '../../studies/exact-scores/identity.js';
import { DATA } from '../exposure/models.js';

test('with the exact reverse process ancestral steps give the data, in any number of steps', async (t) => {
  const contract = contractOf(1, 'learned', 'cosine');
  for (const steps of [2, 7, 20]) {
    const plan = samplerPlan({ sampler: 'ancestral', steps, clipDenoised: false }, contract);
    const model = gaussianModel(DATA, contract, { reverse: { plan, variance: 'each' } });
    const { frechet, energy } = distancesOf(await exactDeviations(DATA, model, plan, 0), DATA.deviations);
    t.true(frechet < 1e-6 && Math.abs(energy - 1) < 1e-3, `${steps} steps: ${frechet}, ${energy}`);
  }
});

for (const sampler of SAMPLERS) {
  test(`${sampler}: DDPM-IP is DDPM-y with an epsilon scaling, for Gaussian data and for a mixture`, async (t) => {
    const { gaussian, mixture, mixtureUnscaled } = await identityRow(sampler, 0.15);
    t.true(gaussian < 1e-4, `deviations differ by ${gaussian}`);
    t.true(
      mixture < 1e-3 && mixture < mixtureUnscaled / 10,
      `samples differ by ${mixture}, of ${mixtureUnscaled}`,
    );
  });
}

/** Of 8x8 images: IP against DDPM. */
async function changes(
  process: ProcessName,
  sampler: SamplerCase,
  steps: number,
  rho: number,
  gamma: number,
) {
  const data = { imageSize: 8, channels: 1, deviations: powerLaw(8), basis: 'pixels' } as const;
  const of = (variant: Variant) =>
    exactDistances(data, { process, settings: settingsOf(sampler, steps), variant, rho });
  const [base, perturbed] = [await of(DDPM), await of(ip(gamma))];
  return {
    ...{ energy: base.energy, perturbedEnergy: perturbed.energy },
    frechet: change(perturbed.frechet, base.frechet),
    spectral: change(perturbed.spectral, base.spectral),
  };
}

test('input perturbation helps where samples lose energy', async (t) => {
  for (const [sampler, steps] of [
    ['ancestral', 20],
    ['ddim eta 0.5', 20],
    ['ddim eta 0', 10],
  ] as const) {
    const { energy, perturbedEnergy, frechet } = await changes('cosine', sampler, steps, 0.1, 0.1);
    t.true(energy < 0.95 && perturbedEnergy > energy && frechet < -1, `${sampler}: ${frechet} %`);
  }
});

test('it harms where they have energy enough: a network of large error, or many deterministic steps', async (t) => {
  t.true((await changes('linear', 'ancestral', 30, 3, 0.1)).frechet > 0);
  // The more of it, the more harm.
  const [weak, strong] = [
    await changes('linear', 'ddim eta 0', 50, 1, 0.1),
    await changes('linear', 'ddim eta 0', 50, 1, 0.15),
  ];
  t.true(weak.frechet > 0 && strong.frechet > weak.frechet, `${weak.frechet} %, ${strong.frechet} %`);
});

test('what weighs all frequencies alike may say the opposite of the Frechet distance', async (t) => {
  const { frechet, spectral } = await changes('cosine', 'ancestral', 30, 0.1, 0.1);
  t.true(frechet < 0 && spectral > 0, `${frechet} %, ${spectral} %`);
});

test('the best epsilon scaling of DDPM says whether input perturbation helps', async (t) => {
  for (const args of [
    ['cosine', 'ddim eta 0.5', 10, 0.1],
    ['linear', 'ddim eta 0', 20, 1],
    ['linear', 'ancestral', 10, 0],
  ] as const) {
    const [process, sampler, steps, rho] = args;
    const row = await gateRow(process, sampler, steps, rho);
    t.not(agrees(row.bestLambda, row.frechetChange), false, JSON.stringify(row));
  }
});

test('the floor of delta_t is 0 in pure noise, and the spread of two images in the end', (t) => {
  t.is(deltaFloor(0, 0.5), 0);
  t.true(Math.abs(deltaFloor(1, 0.5) - 0.5) < 1e-12);
});

test('a power law has the pixel variance that it is given, and falls with frequency', (t) => {
  const deviations = powerLaw(8, 2, 0.3);
  t.true(Math.abs(deviations.reduce((sum, value) => sum + value ** 2, 0) / 64 - 0.3) < 1e-12);
  t.true(at(deviations, 1) > at(deviations, 2) && at(deviations, 9) > at(deviations, 63));
});
