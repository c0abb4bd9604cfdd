import test from 'ava';
import { DiffusionError } from '../../shared/foundation/index.js';
import { diffusionTables, trainingProcess } from '../../shared/noise/index.js';
import { samplerPlan } from '../../shared/sampler/index.js';
import type { SamplerSettings } from '../../shared/sampler/index.js';
import { toyContract } from './toy.js';

const contract = toyContract();

test('without settings a plan has 50 steps, clipped and without extra noise', (t) => {
  const plan = samplerPlan({ sampler: 'ancestral' }, contract);
  t.deepEqual(plan.timestepMap, samplerPlan({ sampler: 'ancestral', steps: 50 }, contract).timestepMap);
  t.like(plan, { steps: 50, eta: 0, clipDenoised: true, remedies: {} });
});

test('a process of fewer than 50 timesteps has all of them', (t) => {
  const plan = samplerPlan({ sampler: 'ancestral' }, { ...contract, betas: contract.betas.slice(0, 30) });
  t.deepEqual([...plan.timestepMap], [...Array(30).keys()]);
});

test('a plan that visits every timestep has the tables of the training process', (t) => {
  const { alphasCumprod } = samplerPlan({ sampler: 'ddim', respacing: '1000' }, contract).tables;
  diffusionTables(contract.betas).alphasCumprod.forEach((wanted, i) => {
    t.true(Math.abs((alphasCumprod[i] ?? NaN) / wanted - 1) < 1e-12);
  });
});

test('steps and the respacing text of the same number are one plan', (t) => {
  t.deepEqual(
    samplerPlan({ sampler: 'ddim', steps: 25 }, contract),
    samplerPlan({ sampler: 'ddim', respacing: '25' }, contract),
  );
});

test('the network gets training timesteps, multiplied by 1000 / T where it was trained so', (t) => {
  const betas = contract.betas.slice(0, 250);
  const short = { ...contract, ...trainingProcess(betas) };
  const plan = samplerPlan({ sampler: 'ddim', steps: 3 }, short);
  t.deepEqual([...plan.modelTimesteps], [0, 124, 249]);
  const rescaled = samplerPlan(
    { sampler: 'ddim', steps: 3 },
    { ...short, ...trainingProcess(betas, { rescale: true }) },
  );
  t.deepEqual([...rescaled.modelTimesteps], [0, 496, 996]);
  t.deepEqual([...rescaled.timestepMap], [0, 124, 249]);
});

const REFUSED: readonly (readonly [string, SamplerSettings])[] = [
  ['steps', { sampler: 'ddim', steps: 0 }],
  ['steps', { sampler: 'ddim', steps: 1001 }],
  ['respacing', { sampler: 'ddim', respacing: 'ddim80' }],
  ['respacing', { sampler: 'ddim', respacing: '10', steps: 10 }],
  ['spacing', { sampler: 'ddim', respacing: '10', spacing: 'trailing' }],
  ['spacing', { sampler: 'ddim', steps: 3, spacing: 'sideways' as 'even' }],
  ['sampler', { sampler: 'plms' as 'ddim', steps: 3 }],
  ['eta', { sampler: 'ddim', eta: -0.1 }],
  ['eta', { sampler: 'ddim', eta: 1.1 }],
  ['eta', { sampler: 'ddim', eta: NaN }],
  ['eta', { sampler: 'ancestral', eta: 0.5 }],
  ['eta', { sampler: 'euler', eta: 0.5 }],
];

for (const [field, settings] of REFUSED) {
  const shown = Object.entries(settings).map(([name, value]) => `${name} ${String(value)}`);
  test(`${shown.join(', ')}: refused by naming ${field}`, (t) => {
    const error = t.throws(() => samplerPlan(settings, contract), { instanceOf: DiffusionError });
    t.is(error.code, 'INVALID_ARGUMENT');
    t.is(error.violations[0]?.field, field);
  });
}
