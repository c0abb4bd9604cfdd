/** The network's input as the compiled step makes it: the part of its graph that does so, run by itself. */
import { trainingModule } from '../../shared/training/training-module.js';
import type { TrainingModuleConfig } from '../../shared/training/training-module.js';
import { optimizerStep } from '../../shared/training/optimizer-step.js';
import { functionGraph } from '../../shared/engine/compiled/function-graph.js';
import { parseRef, valueOf, type Graph, type Value } from '../../shared/engine/compiled/graph.js';
import { passed } from '../../shared/engine/compiled/passes.js';
import { openSession } from '../../shared/engine/compiled/session.js';
import type { EngineArray, EngineModule, LoadedModule, ModuleFunction } from '../../shared/engine/index.js';
import { at } from '../../shared/foundation/index.js';
import { diffusionTables, makeTimestepSampler } from '../../shared/noise/index.js';
import {
  lossObjective,
  microbatches,
  recipeProcess,
  resolveRecipe,
  unetConfig,
  type PartialRecipe,
  type TrainingRecipe,
} from '../../shared/recipe/index.js';

export const BATCH = 32;
const PIXELS = 8 * 8 * 3;

export function recipeOf(over: PartialRecipe): TrainingRecipe {
  return resolveRecipe(
    {
      ...over,
      dataset: { imageSize: 8 },
      noiseSchedule: { name: 'linear', timesteps: 40 },
      objective: { timestepSampler: 'uniform', ...over.objective },
      architecture: { numResBlocks: 1, channelMult: [1], attentionResolutions: [], dropout: 0 },
      training: { steps: 10, batchSize: BATCH, ...over.training },
    },
    'model',
  );
}

export function configOf(recipe: TrainingRecipe): TrainingModuleConfig {
  const { passes, batchSize } = microbatches(recipe);
  return {
    architecture: unetConfig(recipe),
    objective: lossObjective(recipe),
    ...recipeProcess(recipe),
    emaRates: recipe.ema.rates,
    optimizer: recipe.optimizer,
    batchSize,
    accumulationSteps: passes,
    predictBatchSizes: [],
  };
}

/** What the first convolution of a function's network takes. */
function fedTo(graph: Graph): Value {
  const nodes = [...graph.values()];
  const weight = nodes.find(
    ({ op, inputs: [handle] }) =>
      op === 'ReadVariableOp' && handle?.endsWith('/variables/weights/input_blocks.0.0.weight:0'),
  );
  // Of those that a gradient of a gradient makes of it, the first is the network's own.
  const first = nodes.find(({ op, inputs }) => op === 'Conv2D' && inputs[1] === `${weight?.name ?? ''}:0`);
  return valueOf(graph, at(first?.inputs ?? [], 0));
}

export interface Fed {
  readonly xT: Float32Array;
  readonly reported: number;
  readonly inputs: Readonly<Record<string, EngineArray>>;
}

/** Asks the part of a function's graph that makes the network's input, and what is reported of it. */
function readingInput(name: string, called: ModuleFunction, { variables }: EngineModule) {
  const { graph, inputs, outputs } = functionGraph(name, called, variables);
  const wanted = [fedTo(graph), outputs['inputNoiseVariance'] as Value];
  const ends = [...Object.values(inputs), ...wanted].map(({ ref }) => parseRef(ref).node);
  const session = openSession();
  session.extend(passed(graph, new Set(ends)));
  const run = session.prepare(Object.values(inputs), wanted, []);
  return {
    read: async (given: Fed['inputs']): Promise<Fed> => {
      const [xT, reported] = await run(Object.keys(inputs).map((input) => given[input] as EngineArray));
      return { xT: xT as Float32Array, reported: reported?.[0] ?? NaN, inputs: given };
    },
    close: session.close,
  };
}

/** The network's input in the optimizer steps after `steps` others each, with the streamed metrics of each step. */
export async function fed(recipe: TrainingRecipe, steps: readonly number[]) {
  const module = trainingModule(configOf(recipe));
  const name = microbatches(recipe).passes === 1 ? 'trainStep' : 'accumulate';
  const input = readingInput(name, module.functions[name] as ModuleFunction, module);
  let passes: Fed[] = [];
  const loaded = {
    run: async (called: string, inputs: Fed['inputs']) => {
      if (called === name) passes.push(await input.read(inputs));
      return {
        finite: Float32Array.of(1),
        inputNoiseVariance: Float32Array.of(passes.at(-1)?.reported ?? NaN),
      };
    },
  } as unknown as LoadedModule;
  const run = {
    ...{ recipe, architecture: unetConfig(recipe), loaded },
    timestepSampler: makeTimestepSampler('uniform', recipe.noiseSchedule.timesteps, 3n),
    data: { next: () => Promise.resolve({ pixels, position: { epoch: 0, offset: 0 } }) },
  };
  const pixels = pixelsOf(microbatches(recipe).batchSize);
  const made = [];
  for (const step of steps) {
    passes = [];
    const { metrics } = await optimizerStep(run, step);
    made.push({ step, metrics, passes });
  }
  input.close();
  return made;
}

export function pixelsOf(images: number): Uint8Array {
  return Uint8Array.from({ length: images * PIXELS }, (_, i) => (i * 7919) % 256);
}

/** The noise in x_t in each row, (x_t - sqrt(ab) x_0) / sqrt(1 - ab), in float64. */
export function noiseRows(recipe: TrainingRecipe, { xT, inputs }: Fed): number[][] {
  const tables = diffusionTables(recipeProcess(recipe).betas);
  const [pixels, times] = [inputs['pixels'] as Uint8Array, inputs['t'] as Int32Array];
  return Array.from(times, (t, row) =>
    Array.from(xT.subarray(row * PIXELS, (row + 1) * PIXELS), (value, i) => {
      const xStart = at(pixels, row * PIXELS + i) / 127.5 - 1;
      return (value - at(tables.sqrtAlphasCumprod, t) * xStart) / at(tables.sqrtOneMinusAlphasCumprod, t);
    }),
  );
}
