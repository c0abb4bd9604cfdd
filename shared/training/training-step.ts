/** One optimizer step in tensors, with its noise as an argument: loss, gradients, update. */
import { tf, valueAndGradients } from '../engine/index.js';
import type { AdamWConfig, FunctionResult, Tensors } from '../engine/index.js';
import { ownState, trainingLosses, type Network } from '../loss/index.js';
import type { Objective } from '../loss/index.js';
import { parametersOf, unet } from '../model/index.js';
import type { Dropout, UNetConfig, UNetOptions } from '../model/index.js';
import { diffusionTables } from '../noise/index.js';
import type { TrainingProcess } from '../noise/index.js';
import { adamW, allFinite, globalNorm } from '../optimizer/index.js';
import type { AdamWRates } from '../optimizer/index.js';

export interface TrainingStepConfig extends TrainingProcess {
  readonly architecture: UNetConfig;
  readonly objective: Objective;
  /** L2 penalty in the loss, times the squared norm of all parameters. */
  readonly l2Penalty?: number;
  readonly emaRates: readonly number[];
  readonly optimizer: AdamWConfig;
  /** Keep less for the backward pass, and compute it again there. */
  readonly gradientCheckpointing?: boolean;
}

/** Images with all their random numbers. */
export interface NoisyBatch {
  /** [N, H, W, C] in [-1, 1]. */
  readonly xStart: tf.Tensor;
  /** [N] int32. */
  readonly t: tf.Tensor;
  /** What each example's loss counts, [N]. */
  readonly lossWeights: tf.Tensor;
  /** [N, H, W, C], standard normal. */
  readonly epsilon: tf.Tensor;
  /** [N, H, W, C], standard normal. */
  readonly xi: tf.Tensor;
  /** The perturbation's strength in each row, [N]. */
  readonly gamma: tf.Tensor;
  /** [N, H, W, C], standard normal, where there is noise in the target. */
  readonly targetNoise?: tf.Tensor | undefined;
  /** With scheduled sampling: 1 for rows of the network's own making [N], and the noise of its step [N, H, W, C]. */
  readonly own?: { readonly rows: tf.Tensor; readonly stepNoise: tf.Tensor } | undefined;
  /** [N, H, W, C], a Rademacher vector, where there is a gradient penalty. */
  readonly rademacher?: tf.Tensor | undefined;
  /** [N] int32. */
  readonly y?: tf.Tensor | undefined;
  readonly dropout?: Dropout | undefined;
}

/** What a variable holds of a parameter: the first part of the variable's name. */
export const WEIGHTS = 'weights/';
export const ADAM_M = 'adam_m/';
export const ADAM_V = 'adam_v/';
/** The mean gradient so far, while a step's microbatches come in. */
export const GRADIENT = 'grad/';
export const emaPrefix = (rate: number): string => `ema_${rate}/`;

/**
 * The weighted mean of the batch's losses and its gradient in every parameter.
 * Outputs: `loss` (weighted), `mse`, `vlb` and `gradientPenalty` (means), `losses` [N] (unweighted),
 * `inputNoiseVariance`.
 */
export function lossAndGradients(config: TrainingStepConfig, variables: Tensors, batch: NoisyBatch) {
  const { architecture, objective, betas, modelTimesteps, gradientCheckpointing } = config;
  const tables = diffusionTables(betas);
  const { lossWeights, dropout, own, ...noisy } = batch;
  const networkOf =
    (parameters: Tensors, options: Pick<UNetOptions, 'dropout' | 'checkpointing'> = {}): Network =>
    (xT, t, y) => {
      const modelT = tf.gather(tf.tensor1d(Float32Array.from(modelTimesteps)), t);
      return unet(architecture, parameters, xT, modelT, { y, ...options });
    };
  const weights = parametersOf(architecture, variables, WEIGHTS);
  // Before anything is differentiated, and without dropout, as in sampling.
  const ownXT = own && ownState({ ...noisy, ...own, tables, objective, network: networkOf(weights) });
  return valueAndGradients((parameters) => {
    const { mse, vlb, gradientPenalty, loss, inputNoiseVariance } = trainingLosses({
      ...noisy,
      ...(own && ownXT && { own: { rows: own.rows, xT: ownXT } }),
      ...{ tables, objective },
      network: networkOf(parameters, { dropout, checkpointing: gradientCheckpointing }),
    });
    return {
      loss: tf.mean(tf.mul(loss, lossWeights)),
      mse: tf.mean(mse),
      ...(vlb !== undefined && { vlb: tf.mean(vlb) }),
      ...(gradientPenalty !== undefined && { gradientPenalty: tf.mean(gradientPenalty) }),
      losses: loss,
      inputNoiseVariance,
    };
  }, weights);
}

/**
 * AdamW and EMA over all parameters; when a gradient or one of `mustBeFinite` isn't finite, nothing changes.
 * Outputs: `gradNorm`, `paramNorm` (before the update), `finite` (1 or 0).
 */
export function applyStep(
  config: TrainingStepConfig,
  variables: Tensors,
  lossGradients: Tensors,
  rates: AdamWRates,
  mustBeFinite: readonly tf.Tensor[] = [],
): FunctionResult & { readonly updates: Tensors } {
  const parameters = parametersOf(config.architecture, variables, WEIGHTS);
  const gradients = penalised(lossGradients, parameters, config.l2Penalty ?? 0);
  const gradNorm = globalNorm(gradients);
  const finite = allFinite([gradNorm, ...mustBeFinite]);
  const outputs = { gradNorm, paramNorm: globalNorm(parameters), finite };
  return { outputs, updates: nextState(config, variables, gradients, rates), commit: finite };
}

/** The gradients of loss + penalty * |theta|^2, once for each step however many passes it has. */
function penalised(gradients: Tensors, parameters: Tensors, penalty: number): Tensors {
  if (penalty === 0) return gradients;
  return Object.fromEntries(
    Object.entries(gradients).map(([name, gradient]) => [
      name,
      tf.add(gradient, tf.mul(parameters[name] as tf.Tensor, 2 * penalty)),
    ]),
  );
}

/** All variables' new values. */
function nextState(
  { architecture, optimizer, emaRates }: TrainingStepConfig,
  variables: Tensors,
  gradients: Tensors,
  rates: AdamWRates,
): Record<string, tf.Tensor> {
  const prefixes = [WEIGHTS, ADAM_M, ADAM_V, ...emaRates.map(emaPrefix)];
  const held = prefixes.map((prefix) => parametersOf(architecture, variables, prefix));
  const names = Object.keys(gradients);
  const states = names.map((name) => {
    const [parameter, m, v, ...ema] = held.map((of) => of[name] as tf.Tensor) as State;
    return { gradient: gradients[name] as tf.Tensor, parameter, m, v, ema };
  });
  const next = adamW(rates, optimizer, states).map(({ parameter, m, v, ema }) => [parameter, m, v, ...ema]);
  return Object.fromEntries(
    prefixes.flatMap((prefix, i) =>
      names.map((name, j) => [`${prefix}${name}`, next[j]?.[i] as tf.Tensor] as const),
    ),
  );
}

type State = [parameter: tf.Tensor, m: tf.Tensor, v: tf.Tensor, ...ema: tf.Tensor[]];

/** A whole optimizer step from one batch. */
export function trainOn(
  config: TrainingStepConfig,
  variables: Tensors,
  batch: NoisyBatch,
  rates: AdamWRates,
): FunctionResult {
  const { values, gradients } = lossAndGradients(config, variables, batch);
  const result = applyStep(config, variables, gradients, rates, [values.loss]);
  return { ...result, outputs: { ...values, ...result.outputs } };
}

/**
 * Adds one of several microbatches to the step's gradient, unless its loss isn't finite.
 * Outputs as of `lossAndGradients`, and `finite`.
 */
export function accumulateOn(
  config: TrainingStepConfig,
  variables: Tensors,
  batch: NoisyBatch,
  microbatches: number,
): FunctionResult {
  const { values, gradients } = lossAndGradients(config, variables, batch);
  const updates: Record<string, tf.Tensor> = {};
  for (const [name, gradient] of Object.entries(gradients)) {
    const sum = variables[`${GRADIENT}${name}`] as tf.Tensor;
    // Why: the reference adds the microbatches up, so that its gradient grows with their number.
    updates[`${GRADIENT}${name}`] = tf.add(sum, tf.div(gradient, microbatches));
  }
  const finite = allFinite([values.loss]);
  return { outputs: { ...values, finite }, updates, commit: finite };
}

/** The optimizer step from what `accumulateOn` has gathered, which starts again from zero. Outputs as of `applyStep`. */
export function applyAccumulated(
  config: TrainingStepConfig,
  variables: Tensors,
  rates: AdamWRates,
): FunctionResult {
  const gradients = parametersOf(config.architecture, variables, GRADIENT);
  const { updates, ...result } = applyStep(config, variables, gradients, rates);
  const emptied = Object.entries(gradients).map(
    ([name, sum]) => [`${GRADIENT}${name}`, tf.zerosLike(sum)] as const,
  );
  return { ...result, updates: { ...updates, ...Object.fromEntries(emptied) } };
}
