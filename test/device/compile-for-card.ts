/**
 * `npm run test:pjrt -- --device cuda --compile-only [PRESET ...]`: compiles every function of the presets for an H100 that
 * needn't be there, and compares what became of convolutions and products with `compiled-for-h100.json`.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { standaloneContext } from '../../deploy/setup/context.js';
import { provideDevice } from '../../deploy/setup/device.js';
import { compileAhead } from '../../shared/engine/pjrt/ahead-of-time.js';
import { compileOptions } from '../../shared/engine/pjrt/compile-options.js';
import { emittedFunction, flagsOf } from '../../shared/engine/pjrt/pjrt-engine.js';
import { loadPlugin } from '../../shared/engine/pjrt/plugin.js';
import type { Plugin } from '../../shared/engine/pjrt/plugin.js';
import { requireGradients } from '../../shared/engine/tf.js';
import type { EngineModule } from '../../shared/engine/index.js';
import { PRESET_NAMES } from '../../shared/recipe/index.js';
import type { PresetName } from '../../shared/recipe/index.js';
import { moduleOf, presetRecipe } from '../presets/preset-module.js';
import { H100 } from './h100.js';

/** What of a program runs as what. */
interface Counts {
  /** Convolutions of cuDNN, with their gradients. */
  readonly cudnn: number;
  /** Matrix products of cuBLAS. */
  readonly cublas: number;
  /** Kernels that XLA made of everything else. */
  readonly fusions: number;
}

/** Images of a forward pass of sampling. */
const SAMPLED = 16;

const HELD = join(import.meta.dirname, 'compiled-for-h100.json');

/** Counted in the text of the optimised program, as XLA dumps it. */
const COUNTED: Readonly<Record<keyof Counts, RegExp>> = {
  cudnn: /custom_call_target="__cudnn\$conv/g,
  cublas: /custom_call_target="__cublas\$/g,
  fusions: / fusion\(/g,
};

async function countsOf(plugin: Plugin, module: EngineModule, name: string): Promise<Counts> {
  const { emitted } = emittedFunction(module, name, { tf32: false });
  const folder = mkdtempSync(join(tmpdir(), 'compiled-'));
  try {
    const flags = { ...flagsOf('cuda'), xla_dump_to: folder, xla_dump_hlo_as_text: true };
    await compileAhead(plugin, H100, emitted.program, compileOptions(flags));
    const dumped = readdirSync(folder).find((file) => file.endsWith('after_optimizations.txt'));
    const text = readFileSync(join(folder, dumped ?? ''), 'utf8');
    const count = (of: RegExp): number => text.match(of)?.length ?? 0;
    return { cudnn: count(COUNTED.cudnn), cublas: count(COUNTED.cublas), fusions: count(COUNTED.fusions) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function main(args: readonly string[]): Promise<number> {
  const asked = args.filter((arg, i) => !arg.startsWith('--') && args[i - 1] !== '--device');
  requireGradients();
  const plugin = loadPlugin(await provideDevice(standaloneContext(console.log), 'cuda-compiler'));
  const held = JSON.parse(readFileSync(HELD, 'utf8')) as Record<string, Counts>;
  const found: Record<string, Counts> = {};
  for (const preset of asked.length > 0 ? (asked as PresetName[]) : PRESET_NAMES) {
    for (const precision of ['float32', 'bfloat16'] as const) {
      const module = moduleOf(presetRecipe(preset, { precision }), [SAMPLED]);
      for (const name of Object.keys(module.functions)) {
        const began = performance.now();
        const counts = await countsOf(plugin, module, name);
        const key = `${preset} ${precision} ${name}`;
        found[key] = counts;
        const seconds = ((performance.now() - began) / 1000).toFixed(1);
        const isHeld = JSON.stringify(held[key]) === JSON.stringify(counts);
        console.log(`${isHeld ? 'as before' : 'DIFFERS  '} ${key} ${JSON.stringify(counts)} (${seconds} s)`);
      }
    }
  }
  if (args.includes('--write'))
    writeFileSync(HELD, `${JSON.stringify({ ...held, ...found }, undefined, 2)}\n`);
  const differing = Object.entries(found).filter(
    ([key, counts]) => JSON.stringify(held[key]) !== JSON.stringify(counts),
  );
  return differing.length === 0 || args.includes('--write') ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
