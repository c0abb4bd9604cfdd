/** The pieces of the study: what is measured of one network. */
import { measureExposure, type MeasureResult } from '../../shared/exposure/index.js';
import { imageRow, toUint8 } from '../../shared/images/index.js';
import { type SamplerCase, settingsOf, slugOf } from '../cases.js';
import { openSmall, smallImages, type SmallImages } from '../small-networks/images.js';
import { nameOf, withNetwork, type Network } from '../small-networks/networks.js';
import {
  distancesOf,
  epsilonError,
  imagesOf,
  mirroredToo,
  rowsOfDataset,
  sampleRows,
  type Distances,
  type ImageRows,
} from '../small-networks/samples.js';
import type { Dataset } from '../../shared/dataset/index.js';
import type { Bench } from '../study.js';

export interface SetSettings {
  readonly samples: number;
  readonly seed: string;
  readonly resamples: number;
}

export interface SampledCase {
  readonly network: Network;
  readonly sampler: SamplerCase;
  readonly steps: number;
}

/** Samples against the training images and their mirror images, and against those held out. */
export interface MeasuredSet {
  readonly training: Distances;
  readonly heldOutFrechet: number;
}

export function setOf(
  bench: Bench,
  { network, sampler, steps }: SampledCase,
  settings: SetSettings,
): Promise<MeasuredSet> {
  const name = `set-${nameOf(network)}-${network.age}-${slugOf(sampler)}-${steps}`;
  return bench.piece(name, { network, sampler, steps, ...settings }, (say) =>
    withNetwork(bench, network, say, async (model) => {
      const { training, heldOut } = await referencesOf(bench, network);
      const { samples, seed, resamples } = settings;
      const rows = await sampleRows(model, settingsOf(sampler, steps), samples, BigInt(seed), bench.signal);
      return {
        training: await distancesOf(rows, training, resamples),
        heldOutFrechet: (await distancesOf(rows, heldOut, 0)).frechet.value,
      };
    }),
  );
}

/** The images that samples of a network are compared with, with their mirror images. */
export async function referencesOf(
  bench: Bench,
  { images }: Network,
): Promise<{ readonly training: ImageRows; readonly heldOut: ImageRows }> {
  const small = await smallImages(images, bench.data(), bench.work);
  const rowsOf = async (part: 'training' | 'heldOut') =>
    mirroredToo(
      await withDataset(bench, small, part, (dataset) => rowsOfDataset(dataset, small.size, small.channels)),
    );
  return { training: await rowsOf('training'), heldOut: await rowsOf('heldOut') };
}

/** Images 0, 1, ... of the noise that all sets have, as a PNG in base64. */
export interface Pictures {
  readonly images: number;
  readonly png: string;
}

export function picturesOf(
  bench: Bench,
  { network, sampler, steps }: SampledCase,
  seed: string,
): Promise<Pictures> {
  const name = `images-${nameOf(network)}-${network.age}-${slugOf(sampler)}-${steps}`;
  return bench.piece(name, { network, sampler, steps, seed }, (say) =>
    withNetwork(bench, network, say, async (model) => {
      const { values, columns, size, channels } = await sampleRows(
        model,
        settingsOf(sampler, steps),
        PICTURES,
        BigInt(seed),
        bench.signal,
      );
      const pixels = Array.from({ length: PICTURES }, (_, i) =>
        toUint8(values.subarray(i * columns, (i + 1) * columns)),
      );
      const { images, png } = await imageRow(pixels, {
        ...{ width: size, height: size },
        channels: channels === 1 ? 1 : 3,
      });
      return { images, png: Buffer.from(png).toString('base64') };
    }),
  );
}

const PICTURES = 16;

export interface Behaviour {
  /** The mean squared error of epsilon on held-out images. */
  readonly error: number;
  /** With 20 ancestral steps. */
  readonly exposure: readonly MeasureResult[];
}

export interface ExposureSettings {
  readonly images: number;
  readonly seed: string;
  readonly steps: number;
}

const MEASURES = ['energy_ratio', 'epsilon_norm', 'spectrum', 'smoothness', 'chain_length'];

export function behaviourOf(bench: Bench, network: Network, settings: ExposureSettings): Promise<Behaviour> {
  const name = `behaviour-${nameOf(network)}-${network.age}`;
  return bench.piece(name, { network, ...settings, measures: MEASURES }, (say) =>
    withNetwork(bench, network, say, async (model) => {
      const { images, seed, steps } = settings;
      const small = await smallImages(network.images, bench.data(), bench.work);
      const error = await withDataset(bench, small, 'heldOut', (dataset) =>
        epsilonError(model, imagesOf(dataset), bench.signal),
      );
      const exposure = await withDataset(bench, small, 'training', (dataset) =>
        measureExposure({
          ...{ model, data: imagesOf(dataset), sampler: settingsOf('ancestral', steps) },
          ...{ images, seed: BigInt(seed), width: 128, signal: bench.signal, resamples: 100 },
          measures: MEASURES,
        }),
      );
      return { error, exposure };
    }),
  );
}

async function withDataset<T>(
  { work }: Bench,
  small: SmallImages,
  part: 'training' | 'heldOut',
  use: (dataset: Dataset) => Promise<T>,
): Promise<T> {
  const dataset = await openSmall(small, small[part], work);
  try {
    return await use(dataset);
  } finally {
    await dataset.close();
  }
}
