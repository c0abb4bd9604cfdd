/** The first optimizer steps of a preset's training, as a job's engine process makes them, on made-up pixels. */
import { initialise } from '../../services/trainer/engine-process/training-state.js';
import { optimizerStep } from '../../shared/training/optimizer-step.js';
import type { OptimizerStepMetrics } from '../../shared/training/optimizer-step.js';
import type { BatchSource } from '../../shared/dataset/index.js';
import { createCompiledEngine } from '../../shared/engine/index.js';
import type { EnginePrecision } from '../../shared/engine/index.js';
import { initialParameters } from '../../shared/model/index.js';
import { makeTimestepSampler } from '../../shared/noise/index.js';
import { unetConfig } from '../../shared/recipe/index.js';
import type { PresetName } from '../../shared/recipe/index.js';
import { moduleOf, presetRecipe } from './preset-module.js';

export interface PresetSteps {
  readonly preset: PresetName;
  readonly precision: EnginePrecision;
  readonly batchSize: number;
  readonly gradientCheckpointing: boolean;
}

export interface StepsResult {
  readonly metrics: OptimizerStepMetrics;
  /** Of the first step, in which the graph is built, and of the second. */
  readonly milliseconds: readonly [first: number, second: number];
}

export async function firstSteps({ preset, ...training }: PresetSteps): Promise<StepsResult> {
  const recipe = presetRecipe(preset, training);
  const { ema, objective, noiseSchedule, dataset } = recipe;
  const architecture = unetConfig(recipe);
  const loaded = await (await createCompiledEngine()).load(moduleOf(recipe));
  const timestepSampler = makeTimestepSampler(objective.timestepSampler, noiseSchedule.timesteps, 0n);
  const tensors = { architecture, emaRates: ema.rates, loaded, timestepSampler };
  await initialise(tensors, initialParameters(architecture, 0n));
  const data = madeUp(training.batchSize * dataset.imageSize ** 2 * dataset.channels);

  const milliseconds: number[] = [];
  let metrics: OptimizerStepMetrics | undefined;
  for (const step of [0, 1]) {
    const began = performance.now();
    ({ metrics } = await optimizerStep({ ...tensors, recipe, data }, step));
    milliseconds.push(Math.round(performance.now() - began));
  }
  await loaded.dispose();
  return { metrics: metrics as OptimizerStepMetrics, milliseconds: milliseconds as [number, number] };
}

function madeUp(length: number): BatchSource {
  const pixels = Uint8Array.from({ length }, (_, i) => (i * 37 + (i >> 7)) % 256);
  return {
    next: () => Promise.resolve({ pixels, position: { epoch: 0, offset: 0 } }),
  };
}
