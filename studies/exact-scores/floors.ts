/** delta_t and the chain error of a perfect sampler: what is there without any exposure bias. */
import { at } from '../../shared/foundation/index.js';
import { measureExposure } from '../../shared/exposure/index.js';
import { samplerPlan } from '../../shared/sampler/index.js';
import type { Bench } from '../study.js';
import { contractOf, gaussianImages, gaussianModel } from './closed-forms.js';
import { exactPoint } from './gain.js';

const SETTINGS = { imageSize: 8, deviation: 0.5, steps: 20, images: 2000, seed: '1' };

/** delta_t of a perfect sampler from pure noise, in closed form: x^_t is independent of x_0. */
export function deltaFloor(alphasCumprod: number, deviation: number): number {
  const noise = Math.sqrt(1 - alphasCumprod);
  return (Math.sqrt(2 * alphasCumprod * deviation ** 2 + noise ** 2) - noise) ** 2;
}

export async function floors(bench: Bench): Promise<void> {
  const { imageSize, deviation, steps, images, seed } = SETTINGS;
  const contract = contractOf(1, 'learned', 'cosine');
  const sampler = { sampler: 'ancestral', steps, clipDenoised: false } as const;
  const plan = samplerPlan(sampler, contract);
  const rows = await bench.piece('floors', SETTINGS, async () => {
    const deviations = new Float64Array(imageSize ** 2).fill(deviation);
    const data = { imageSize, channels: 1, deviations, basis: 'pixels' } as const;
    const [result] = await measureExposure({
      model: gaussianModel(data, contract, { reverse: { plan, variance: 'each' } }),
      data: gaussianImages(data, 1n, 2 * images),
      ...{ sampler, images, seed: BigInt(seed), measures: ['delta'] },
    });
    const curves = result?.figures.flatMap((figure) => figure.curves) ?? [];
    const [excess, published, floor] = curves.map(({ points }) => points);
    return Array.from(plan.timestepMap, (t, i) => ({
      t,
      closedForm: deltaFloor(at(plan.tables.alphasCumprod, i), deviation),
      delta: published?.[i]?.value ?? NaN,
      floor: floor?.[i]?.value ?? NaN,
      excess: excess?.[i]?.value ?? NaN,
      excessLow: excess?.[i]?.low ?? NaN,
      excessHigh: excess?.[i]?.high ?? NaN,
    }));
  });
  await bench.table('floors', rows);
  await bench.figure(
    'floors',
    {
      ...{
        name: 'floors',
        title: 'delta_t of a perfect sampler is its floor',
        x: 'timestep t',
        y: 'delta_t',
      },
      curves: [
        { name: 'delta_t as published', points: rows.map((row) => exactPoint(row.t, row.delta)) },
        { name: 'closed form', points: rows.map((row) => exactPoint(row.t, row.closedForm)) },
      ],
    },
    [
      `Independent pixels N(0, ${deviation}²), ${steps} ancestral steps with the exact reverse process, n = ${images}.`,
    ],
  );
}
