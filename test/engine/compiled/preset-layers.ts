/** The layers that the presets' networks have kernels of the engine's own for, read from their traced training steps. */
import { unhoisted } from '../../../shared/engine/compiled/finishing.js';
import { functionGraph } from '../../../shared/engine/compiled/function-graph.js';
import { parseRef, valueOf } from '../../../shared/engine/compiled/graph.js';
import type { EngineModule } from '../../../shared/engine/index.js';
import { PRESET_NAMES, unetConfig } from '../../../shared/recipe/index.js';
import type { TrainingRecipe } from '../../../shared/recipe/index.js';
import { moduleOf, presetRecipe } from '../../presets/preset-module.js';

/** A 3x3 convolution over images of this width. */
export interface ConvolutionLayer {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly width: number;
}

export interface NormLayer {
  readonly channels: number;
  readonly width: number;
  /** Whether silu follows. */
  readonly silu: boolean;
  /** Whether each image has a gain of its own. */
  readonly perImage: boolean;
}

export interface AttentionLayer {
  readonly pixels: number;
  readonly channels: number;
  readonly heads: number;
}

interface PresetLayers {
  readonly convolutions: readonly ConvolutionLayer[];
  readonly norms: readonly NormLayer[];
  readonly attentions: readonly AttentionLayer[];
}

/** Each distinct layer of all presets, once. The engine must have been started. */
export function presetLayers(): PresetLayers {
  const convolutions = new Map<string, ConvolutionLayer>();
  const norms = new Map<string, NormLayer>();
  const attentions = new Map<string, AttentionLayer>();
  const add = <T extends object>(layers: Map<string, T>, layer: T): void => {
    layers.set(JSON.stringify(layer), layer);
  };
  // Of two images, so that gains of an image's own can be told from those of all.
  const recipes = PRESET_NAMES.map((preset) => presetRecipe(preset, { batchSize: 2 }));
  for (const recipe of new Map(recipes.map((each) => [networkOf(each), each])).values()) {
    for (const { op, shapes, count } of nativeNodes(moduleOf(recipe))) {
      const [x = [], filter = []] = shapes;
      if (/^Native(Biased)?Conv3x3$/.test(op))
        add(convolutions, { inChannels: x[3] ?? 0, outChannels: filter[3] ?? 0, width: x[2] ?? 0 });
      if (/^NativeGroupNorm(Silu)?$/.test(op)) {
        const silu = op.endsWith('Silu');
        add(norms, { channels: x[3] ?? 0, width: x[2] ?? 0, silu, perImage: filter[0] !== 1 });
      }
      if (op === 'NativeAttention')
        add(attentions, { pixels: x[1] ?? 0, channels: (x[2] ?? 0) / 3, heads: count });
    }
  }
  return {
    convolutions: [...convolutions.values()],
    norms: [...norms.values()],
    attentions: [...attentions.values()],
  };
}

function networkOf(recipe: TrainingRecipe): string {
  return JSON.stringify(unetConfig(recipe));
}

interface NativeNode {
  readonly op: string;
  readonly shapes: readonly (readonly number[])[];
  /** Heads, or groups. */
  readonly count: number;
}

function nativeNodes(module: EngineModule): NativeNode[] {
  const step = module.functions['trainStep'];
  if (step === undefined) throw new Error('the module has no trainStep');
  const { graph, inputs, outputs, update } = functionGraph('trainStep', step, module.variables);
  const ends = [...Object.values(inputs), ...Object.values(outputs)].map(({ ref }) => parseRef(ref).node);
  const finished = unhoisted(graph, new Set(ends.concat(update ?? [])), module);
  return Array.from(finished.values())
    .filter(({ op }) => op.startsWith('Native'))
    .map(({ op, inputs: refs, attributes: { count } }) => ({
      op,
      shapes: refs.map((ref) => valueOf(finished, ref).shape),
      count: count !== undefined && 'int' in count ? count.int : 0,
    }));
}
