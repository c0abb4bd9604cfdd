/** The sweep of lambda on a trained network: which constant epsilon scaling makes its best samples. */
import { measureExposure, type CurvePoint } from '../../shared/exposure/index.js';
import type { Estimate } from '../../shared/statistics/index.js';
import type { Bench } from '../study.js';
import { type SamplerCase, settingsOf, slugOf } from '../cases.js';
import { openSmall, smallImages } from './images.js';
import { nameOf, withNetwork, type Network } from './networks.js';
import { imagesOf } from './samples.js';

export const SWEEP = { images: 512, seed: '3', least: 0.97, most: 1.06, count: 10 };

export interface Sweep {
  readonly bestFrechet: Estimate;
  readonly bestSpectral: Estimate;
  /** Distance by lambda. */
  readonly frechet: readonly CurvePoint[];
  readonly spectral: readonly CurvePoint[];
}

/** All lambda, all variants and all ages have the same noise and the same training images beside them. */
export function sweepOf(
  bench: Bench,
  network: Network,
  sampler: SamplerCase,
  steps: number,
  settings = SWEEP,
): Promise<Sweep> {
  const { images, seed, least, most, count } = settings;
  const name = `sweep-${nameOf(network)}-${network.age}-${slugOf(sampler)}-${steps}`;
  return bench.piece(name, { network, sampler, steps, ...settings }, (say) =>
    withNetwork(bench, network, say, async (model) => {
      const small = await smallImages(network.images, bench.data(), bench.work);
      const dataset = await openSmall(small, small.training, bench.work);
      try {
        const [result] = await measureExposure({
          ...{ model, data: imagesOf(dataset), sampler: settingsOf(sampler, steps) },
          ...{ images, seed: BigInt(seed), width: 128, signal: bench.signal, resamples: 100 },
          ...{ measures: ['lambda_sweep'], settings: { lambda_sweep: { least, most, count } } },
        });
        const [frechet, spectral] = result?.figures ?? [];
        const [bestFrechet, bestSpectral] = result?.findings ?? [];
        if (!frechet || !spectral || !bestFrechet || !bestSpectral)
          throw new Error('wanted two curves and two findings of lambda_sweep');
        return {
          ...{ bestFrechet: estimate(bestFrechet), bestSpectral: estimate(bestSpectral) },
          ...{ frechet: frechet.curves[0]?.points ?? [], spectral: spectral.curves[0]?.points ?? [] },
        };
      } finally {
        await dataset.close();
      }
    }),
  );
}

const estimate = ({ value, low, high }: Estimate): Estimate => ({ value, low, high });
