/** Bits per dimension of images by the full VLB, with its terms by timestep. */
import { tf, type LoadedModule, type ModuleFunction, type Tensors } from '../engine/index.js';
import type { MeasureResult } from '../exposure/index.js';
import { at, throwIfAborted } from '../foundation/index.js';
import { likelihoodTerms, priorBits, type Objective } from '../loss/index.js';
import { parametersOf, unet, type UNetConfig } from '../model/index.js';
import { diffusionTables, type TrainingProcess } from '../noise/index.js';
import { streamingBootstrap, type BootstrapOptions, type Estimate } from '../statistics/index.js';

/** Of which likelihood: the network, and the process whose steps the bound has. */
export interface LikelihoodConfig {
  readonly architecture: UNetConfig;
  readonly objective: Pick<Objective, 'meanType' | 'varianceType'>;
  readonly process: TrainingProcess;
}

/**
 * Inputs: `xStart`, `epsilon` [N, H, W, C], `step` [N] int32, `t` [N] float32 as the network takes it, `y` [N] int32 where it
 * has classes. Outputs, each [N]: `vb`, `xStartMse`, `mse`, and `prior`, which is the same at every step.
 */
export function likelihoodFunction(config: LikelihoodConfig, batchSize: number): ModuleFunction {
  const { architecture } = config;
  const { numClasses } = architecture;
  const network = {
    t: { shape: [batchSize], dtype: 'float32' as const },
    ...(numClasses !== undefined && { y: { shape: [batchSize], dtype: 'int32' as const } }),
  };
  return termsFunction(config, batchSize, network, ({ t, y }, variables) => {
    const parameters = parametersOf(architecture, variables, '');
    return (xT) => unet(architecture, parameters, xT, t as tf.Tensor, { y });
  });
}

/** The same, but `modelOutput` [N, H, W, outChannels] stands in the place of a network: for one that runs elsewhere. */
export function predictedLikelihoodFunction(config: LikelihoodConfig, batchSize: number): ModuleFunction {
  const { imageSize, outChannels } = config.architecture;
  const modelOutput = {
    shape: [batchSize, imageSize, imageSize, outChannels],
    dtype: 'float32' as const,
  };
  return termsFunction(
    config,
    batchSize,
    { modelOutput },
    (inputs) => () => inputs['modelOutput'] as tf.Tensor,
  );
}

function termsFunction(
  { architecture, objective, process }: LikelihoodConfig,
  batchSize: number,
  ofNetwork: ModuleFunction['inputs'],
  networkOf: (inputs: Tensors, variables: Tensors) => (xT: tf.Tensor) => tf.Tensor,
): ModuleFunction {
  const { imageSize, inChannels } = architecture;
  const images = { shape: [batchSize, imageSize, imageSize, inChannels], dtype: 'float32' } as const;
  const tables = diffusionTables(process.betas);
  return {
    inputs: {
      ...{ xStart: images, epsilon: images },
      step: { shape: [batchSize], dtype: 'int32' },
      ...ofNetwork,
    },
    body: (inputs: Tensors, variables) => {
      const { xStart, epsilon, step } = inputs;
      const batch = { tables, objective, network: networkOf(inputs, variables), xStart, t: step, epsilon };
      const terms = likelihoodTerms(batch as Parameters<typeof likelihoodTerms>[0]);
      return { outputs: { ...terms, prior: priorBits(tables, xStart as tf.Tensor) } };
    },
  };
}

/** One image; arrays have a number for each step, rising. Bits a value, and squared errors a value. */
export interface ImageLikelihood {
  readonly vb: Float64Array;
  readonly xStartMse: Float64Array;
  readonly mse: Float64Array;
  readonly prior: number;
  /** The bound on bits per dimension: prior and all of vb. */
  readonly total: number;
}

export interface LikelihoodImages {
  readonly count: number;
  /** [H, W, C] flattened, in [-1, 1]. */
  readonly image: (index: number) => Promise<Float32Array>;
  readonly label?: ((index: number) => number) | undefined;
  /** Standard normal, of an image at a step. */
  readonly noise: (index: number, step: number) => Float32Array;
}

/**
 * The images' likelihoods, one after the other; rows of neighbouring images share passes, and few images are held at once.
 *
 * @param run The function of `likelihoodFunction` for `batchSize` rows.
 * @throws the signal's reason, between two passes.
 */
export async function* imageLikelihoods(
  run: (inputs: Parameters<LoadedModule['run']>[1]) => ReturnType<LoadedModule['run']>,
  batchSize: number,
  { process }: LikelihoodConfig,
  images: LikelihoodImages,
  signal?: AbortSignal,
): AsyncGenerator<ImageLikelihood, void, undefined> {
  const steps = process.betas.length;
  const rows = images.count * steps;
  let open = emptyLikelihood(steps);
  let image: Float32Array = new Float32Array(0);
  for (let first = 0; first < rows; first += batchSize) {
    throwIfAborted(signal, 'measuring the likelihood');
    const places = Array.from({ length: batchSize }, (_, row) => Math.min(first + row, rows - 1));
    const parts = [];
    for (const place of places) {
      const [index, step] = [Math.floor(place / steps), place % steps];
      if (step === 0 || image.length === 0) image = await images.image(index);
      parts.push({ index, step, xStart: image, epsilon: images.noise(index, step) });
    }
    const { vb, xStartMse, mse, prior } = await run({
      xStart: joined(parts.map(({ xStart }) => xStart)),
      epsilon: joined(parts.map(({ epsilon }) => epsilon)),
      step: Int32Array.from(parts, ({ step }) => step),
      t: Float32Array.from(parts, ({ step }) => at(process.modelTimesteps, step)),
      ...(images.label && { y: Int32Array.from(parts, ({ index }) => images.label?.(index) ?? 0) }),
    });
    for (let row = 0; row < batchSize && first + row < rows; row++) {
      const step = (first + row) % steps;
      open.vb[step] = vb?.[row] ?? NaN;
      open.xStartMse[step] = xStartMse?.[row] ?? NaN;
      open.mse[step] = mse?.[row] ?? NaN;
      if (step < steps - 1) continue;
      const ofPrior = prior?.[row] ?? NaN;
      yield { ...open, prior: ofPrior, total: open.vb.reduce((sum, term) => sum + term, ofPrior) };
      open = emptyLikelihood(steps);
    }
  }
}

function emptyLikelihood(steps: number): Pick<ImageLikelihood, 'vb' | 'xStartMse' | 'mse'> {
  return {
    vb: new Float64Array(steps),
    xStartMse: new Float64Array(steps),
    mse: new Float64Array(steps),
  };
}

function joined(arrays: readonly Float32Array[]): Float32Array {
  const length = arrays[0]?.length ?? 0;
  const all = new Float32Array(arrays.length * length);
  arrays.forEach((array, i) => {
    all.set(array, i * length);
  });
  return all;
}

/** The mean over images with bootstrap intervals, in the form of a measure's result. */
export async function likelihoodResult(
  { process }: LikelihoodConfig,
  timesteps: ArrayLike<number>,
  images: AsyncIterable<ImageLikelihood>,
  { bootstrap, onImage }: { readonly bootstrap: BootstrapOptions; readonly onImage: (done: number) => void },
): Promise<Pick<MeasureResult, 'figures' | 'findings' | 'notes'> & { readonly images: number }> {
  const steps = process.betas.length;
  const stream = streamingBootstrap(3 * steps + 2, bootstrap);
  for await (const { vb, xStartMse, mse, prior, total } of images) {
    stream.add([...vb, ...xStartMse, ...mse, prior, total]);
    onImage(stream.count);
  }
  const means = stream.estimates((values) => [...values]);
  const curve = (name: string, from: number) => ({
    name,
    points: Array.from({ length: steps }, (_, i) => ({
      x: at(timesteps, i),
      ...at(means, from * steps + i),
    })),
  });
  const finding = (name: string, estimate: Estimate) => ({ name, ...estimate });
  const x = 'timestep t';
  return {
    images: stream.count,
    figures: [
      { name: 'vb', title: 'Terms of the VLB', x, y: 'bits per dimension', curves: [curve('term', 0)] },
      {
        ...{ name: 'xstart_mse', title: 'Squared error of the predicted x_0, clipped', x, y: 'mean square' },
        curves: [curve('error', 1)],
      },
      {
        ...{
          name: 'mse',
          title: 'Squared error of the predicted noise, from the clipped x_0',
          x,
          y: 'mean square',
        },
        curves: [curve('error', 2)],
      },
    ],
    findings: [
      finding('bits per dimension', at(means, 3 * steps + 1)),
      finding('of which prior', at(means, 3 * steps)),
    ],
    notes: [
      'An upper bound on the negative log likelihood. Inputs are not perturbed; x_0 is clipped to [-1, 1].',
    ],
  };
}
