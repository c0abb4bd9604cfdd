/** DDPM-IP is DDPM-y with an epsilon scaling of sqrt(1 + gamma^2), through every sampler. */
import { at } from '../../shared/foundation/index.js';
import {
  drain,
  imageNoise,
  samplerPlan,
  SAMPLERS,
  solver,
  type SamplerName,
} from '../../shared/sampler/index.js';
import type { Bench } from '../study.js';
import { contractOf, ip, mixture, mixtureModel, powerLaw, y } from './closed-forms.js';
import { deviationsOf } from './gaussian-case.js';

export interface IdentityRow {
  readonly sampler: SamplerName;
  readonly gamma: number;
  /** Largest relative difference of a value's deviation. */
  readonly gaussian: number;
  /** Largest difference of a value, in the units of the data, over 32 samples of a mixture. */
  readonly mixture: number;
  /** The same without the scaling: what there was to explain. */
  readonly mixtureUnscaled: number;
}

const SETTINGS = { imageSize: 8, steps: 20, gammas: [0.05, 0.1, 0.15, 0.4], images: 32 };

export async function identityRow(sampler: SamplerName, gamma: number): Promise<IdentityRow> {
  const { imageSize, steps, images } = SETTINGS;
  const scaling = { epsilonScaling: { k: 0, b: Math.sqrt(1 + gamma ** 2) } };
  const data = { imageSize, channels: 1, deviations: powerLaw(imageSize), basis: 'pixels' } as const;
  const common = { process: 'linear', rho: 0 } as const;
  const ofIp = await deviationsOf(data, { ...common, settings: { sampler, steps }, variant: ip(gamma) });
  const ofY = await deviationsOf(data, {
    ...common,
    settings: { sampler, steps, ...scaling },
    variant: y(gamma),
  });

  const clouds = mixture(2, 8, 0.1, 1n);
  const contract = contractOf(1, 'fixed_small', 'cosine');
  const sampled = async (variant: ReturnType<typeof ip>, more: object, index: number) =>
    drain(
      solver({
        plan: samplerPlan({ sampler, steps, ...more }, contract),
        predict: mixtureModel(clouds, contract, { variant }).predict,
        noise: imageNoise(1n, index, 4),
      }),
    );
  const largest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
    Math.max(...Array.from(a, (value, e) => Math.abs(value - at(b, e))));
  let [scaledBy, unscaledBy] = [0, 0];
  for (let index = 0; index < images; index++) {
    const wanted = await sampled(ip(gamma), {}, index);
    scaledBy = Math.max(scaledBy, largest(await sampled(y(gamma), scaling, index), wanted));
    unscaledBy = Math.max(unscaledBy, largest(await sampled(y(gamma), {}, index), wanted));
  }
  const gaussian = Math.max(...ofIp.map((value, e) => Math.abs(at(ofY, e) / value - 1)));
  return { sampler, gamma, gaussian, mixture: scaledBy, mixtureUnscaled: unscaledBy };
}

export async function identity(bench: Bench): Promise<void> {
  const rows = await bench.piece('identity', SETTINGS, async () => {
    const found: IdentityRow[] = [];
    for (const sampler of SAMPLERS)
      for (const gamma of SETTINGS.gammas) found.push(await identityRow(sampler, gamma));
    return found;
  });
  await bench.table(
    'identity',
    rows.map((row) => ({ ...row })),
  );
}
