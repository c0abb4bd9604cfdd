/** Every derived table of every golden schedule, respaced as the reference does it. */
import test from 'ava';
import { diffusionTables, makeBetas, respacedBetas } from '../../shared/noise/index.js';
import type { DiffusionTables } from '../../shared/noise/index.js';
import { spaceTimesteps } from '../../shared/sampler/index.js';
import { goldenFile } from './golden.js';

const TOLERANCE = 1e-12;
const TABLES: Readonly<Record<string, Exclude<keyof DiffusionTables, 'timesteps'>>> = {
  betas: 'betas',
  alphas_cumprod: 'alphasCumprod',
  alphas_cumprod_prev: 'alphasCumprodPrev',
  sqrt_alphas_cumprod: 'sqrtAlphasCumprod',
  sqrt_one_minus_alphas_cumprod: 'sqrtOneMinusAlphasCumprod',
  log_one_minus_alphas_cumprod: 'logOneMinusAlphasCumprod',
  sqrt_recip_alphas_cumprod: 'sqrtRecipAlphasCumprod',
  sqrt_recipm1_alphas_cumprod: 'sqrtRecipm1AlphasCumprod',
  posterior_variance: 'posteriorVariance',
  posterior_log_variance_clipped: 'posteriorLogVarianceClipped',
  posterior_mean_coef1: 'posteriorMeanCoef1',
  posterior_mean_coef2: 'posteriorMeanCoef2',
};

const golden = JSON.parse(goldenFile('schedules.json').toString()) as Record<string, Record<string, number[]>>;

function scheduleName(name: string): 'linear' | 'cosine' {
  if (name !== 'linear' && name !== 'cosine') throw new Error(`no schedule is called ${name}`);
  return name;
}

for (const [key, tables] of Object.entries(golden)) {
  test(`the tables of ${key} are the reference's`, (t) => {
    const [name = '', T = '', respacing = ''] = key.split('/');
    const base = makeBetas({ name: scheduleName(name), timesteps: Number(T) });
    const { betas, timestepMap } = respacedBetas(base, spaceTimesteps(Number(T), respacing));
    const { timestep_map: wantedMap, ...wantedTables } = tables;
    t.deepEqual([...timestepMap], wantedMap);
    const ours = diffusionTables(betas);
    for (const [tableKey, wanted] of Object.entries(wantedTables)) {
      const table = TABLES[tableKey];
      if (table === undefined) {
        t.fail(`no table is called ${tableKey}`);
        continue;
      }
      t.is(ours[table].length, wanted.length, tableKey);
      for (const [i, value] of wanted.entries()) {
        const error = Math.abs((ours[table][i] ?? NaN) - value);
        t.true(error <= TOLERANCE * Math.abs(value), `${tableKey}[${i}] differs by ${error} from ${value}`);
      }
    }
  });
}
