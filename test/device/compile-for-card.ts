/**
 * `npm run test:pjrt -- --device cuda --compile-only [--write] [--function NAME] [PRESET ...]`: compiles every function of
 * the presets, or the one of a name, for an H100 that needn't be there, and compares what became of convolutions, products,
 * norms and attention, and how many CUDA graphs there are, with `compiled-for-h100.json`.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { standaloneContext } from '../../deploy/setup/context.js';
import { provideDevice } from '../../deploy/setup/device.js';
import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import { slotCount } from '../../services/sampler/engine-process/slot-inputs.js';
import { compileAhead } from '../../shared/engine/pjrt/ahead-of-time.js';
import { compileOptions } from '../../shared/engine/pjrt/compile-options.js';
import type { CompileFlags } from '../../shared/engine/pjrt/compile-options.js';
import { emittedFunction, flagsOf } from '../../shared/engine/pjrt/pjrt-engine.js';
import { loadPlugin } from '../../shared/engine/pjrt/plugin.js';
import type { Plugin } from '../../shared/engine/pjrt/plugin.js';
import type { ProgramText } from '../../shared/engine/pjrt/program.js';
import type { EngineModule, EnginePrecision } from '../../shared/engine/index.js';
import { requireGradients } from '../../shared/engine/tf.js';
import { PRESET_NAMES, unetConfig } from '../../shared/recipe/index.js';
import type { PresetName } from '../../shared/recipe/index.js';
import { moduleOf, presetRecipe } from '../presets/preset-module.js';
import { H100 } from './h100.js';

/** What of a program runs as what, by the steps that the card is given. */
type Counts = Readonly<Record<keyof typeof COUNTED, number>>;

/** Images of a forward pass of sampling. */
const SAMPLED = 16;

const HELD = join(import.meta.dirname, 'compiled-for-h100.json');

/** Whether a step is counted; a step is a line such as `004: kCustomKernel [prev=..] loop_add_fusion_10 grid: ..`. */
const COUNTED = {
  /** Convolutions of cuDNN, with their gradients. */
  cudnn: (line) => line.includes(' kConvolution '),
  /** Matrix products of cuBLAS, those of attention among them. */
  cublas: (line) => / k(CublasLtMatmul|Gemm) /.test(line),
  /** Attention in one call of cuDNN. */
  attention: (line) => / k(CuDnn|CudnnFmha|FusedMHA)\w* /i.test(line),
  /** Kernels of XLA's that sum or take a maximum: statistics of norms, softmax, sums of gradients. */
  reductions: (line) => isKernel(line) && line.includes('reduce'),
  /** Kernels that only turn axes, as a convolution wants them. */
  transposes: (line) => isKernel(line) && !line.includes('reduce') && line.includes('transpose'),
  /** All other kernels of XLA's. */
  kernels: (line) => isKernel(line) && !/reduce|transpose/.test(line),
  /** CUDA graphs, each of which is launched at once. */
  graphs: (line) => line.includes(' kCommandBuffer '),
  /** What the processor launches one by one: a graph, or a step outside of all. */
  launches: (line) => !line.startsWith(' '),
} as const satisfies Record<string, (line: string) => boolean>;

function isKernel(line: string): boolean {
  return / k(CustomKernel|Kernel|DynamicSliceFusion) /.test(line);
}

/** The counts don't depend on these, and compiling takes a third of the time. */
const UNOPTIMISED: CompileFlags = {
  xla_gpu_disable_gpuasm_optimizations: true,
  xla_backend_optimization_level: 0,
};

async function countsOf(plugin: Plugin, program: ProgramText): Promise<Counts> {
  const folder = mkdtempSync(join(tmpdir(), 'compiled-'));
  try {
    const flags = { ...flagsOf('cuda'), ...UNOPTIMISED, xla_dump_to: folder, xla_dump_hlo_as_text: true };
    await compileAhead(plugin, H100, program, compileOptions(flags));
    const files = readdirSync(folder);
    // The first is missing where no pass changed anything.
    const dumped = ['_after_thunk_passes', '']
      .map((passes) => files.find((file) => file.endsWith(`thunk_sequence${passes}.txt`)))
      .find((file) => file !== undefined);
    const lines = readFileSync(join(folder, dumped ?? ''), 'utf8')
      .split('\n')
      .filter((line) => /^ *\d+: k/.test(line));
    const counted = Object.entries(COUNTED).map(([name, isOf]) => [name, lines.filter(isOf).length]);
    return Object.fromEntries(counted) as Counts;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Presets of which a training step is compiled with attention as a call of cuDNN too. */
const CALLED: readonly PresetName[] = ['demo-32', 'cifar10-32'];

/** The trainer's, and the sampler's. */
function functionsOf(
  preset: PresetName,
  precision: EnginePrecision,
): (readonly [module: EngineModule, name: string, attentionCalls: boolean])[] {
  const recipe = presetRecipe(preset, { precision });
  const architecture = unetConfig(recipe);
  const slots = slotCount(SAMPLED, architecture.imageSize ** 2 * architecture.inChannels);
  const trainer = moduleOf(recipe, [SAMPLED]);
  const modules = [trainer, predictionModule(architecture, [SAMPLED], precision, slots)];
  const all = modules.flatMap((module) =>
    Object.keys(module.functions).map((name) => [module, name, false] as const),
  );
  const called = precision === 'bfloat16' && CALLED.includes(preset);
  return called ? [...all, [trainer, 'trainStep', true]] : all;
}

const { values: given, positionals: asked } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: 'string' },
    'compile-only': { type: 'boolean' },
    write: { type: 'boolean', default: false },
    function: { type: 'string' },
  },
});

async function main(): Promise<number> {
  requireGradients();
  const plugin = loadPlugin(await provideDevice(standaloneContext(console.log), 'cuda-compiler'));
  const held = JSON.parse(readFileSync(HELD, 'utf8')) as Record<string, Counts>;
  const found: Record<string, Counts> = {};
  // Presets share networks, and predictions by several sets of weights are one program.
  const known = new Map<string, Counts>();
  for (const preset of asked.length > 0 ? (asked as PresetName[]) : PRESET_NAMES) {
    for (const precision of ['float32', 'bfloat16'] as const) {
      for (const [module, name, attentionCalls] of functionsOf(preset, precision)) {
        if (given.function !== undefined && given.function !== name) continue;
        const began = performance.now();
        const { program } = emittedFunction(module, name, { tf32: false, attentionCalls }).emitted;
        const counts = known.get(program.text) ?? (await countsOf(plugin, program));
        known.set(program.text, counts);
        const key = `${preset} ${precision} ${name}${attentionCalls ? ', attention of cuDNN' : ''}`;
        found[key] = counts;
        const seconds = ((performance.now() - began) / 1000).toFixed(1);
        const isHeld = JSON.stringify(held[key]) === JSON.stringify(counts);
        // As it goes, so that a run that is ended keeps what it has found.
        if (given.write) write({ ...held, ...found });
        console.log(`${isHeld ? 'as before' : 'DIFFERS  '} ${key} ${JSON.stringify(counts)} (${seconds} s)`);
      }
    }
  }
  const differing = Object.entries(found).filter(
    ([key, counts]) => JSON.stringify(held[key]) !== JSON.stringify(counts),
  );
  return differing.length === 0 || given.write ? 0 : 1;
}

function write(counts: Readonly<Record<string, Counts>>): void {
  writeFileSync(HELD, `${JSON.stringify(counts, undefined, 2)}\n`);
}

process.exitCode = await main();
