/** `npm run test:presets`: the first optimizer steps of every preset's training, in float32 and bfloat16, each in a process of its own. */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { engineEnvironment } from '../../shared/foundation/index.js';
import { PRESET_NAMES } from '../../shared/recipe/index.js';
import type { PresetName } from '../../shared/recipe/index.js';
import type { PresetSteps, StepsResult } from './first-steps.js';

const PROGRAM = fileURLToPath(new URL('steps-process.ts', import.meta.url));

/** What a preset takes: images of a pass, and free memory. The largest fits a machine of 24 GiB one image at a time. */
const SIZES: Partial<
  Record<PresetName, Omit<PresetSteps, 'preset' | 'precision'> & { readonly gib: number }>
> = {
  'lsun-tower-64': { batchSize: 1, gradientCheckpointing: false, gib: 9 },
  'celeba-64': { batchSize: 1, gradientCheckpointing: false, gib: 9 },
  'ffhq-128': { batchSize: 1, gradientCheckpointing: true, gib: 17 },
};
const USUAL = { batchSize: 4, gradientCheckpointing: false, gib: 4 };

const only = process.argv.slice(2);
const failures: string[] = [];
for (const preset of PRESET_NAMES.filter((name) => only.length === 0 || only.includes(name))) {
  for (const precision of ['float32', 'bfloat16'] as const) {
    const { gib, ...size } = SIZES[preset] ?? USUAL;
    const title = `${preset}, ${precision}, batch ${size.batchSize}`;
    const problem = await tried(title, { preset, precision, ...size }, gib);
    if (problem === undefined) continue;
    console.error(`✘ ${title}: ${problem}`);
    failures.push(title);
  }
}
process.exitCode = failures.length > 0 ? 1 : 0;

/** What is wrong, if anything is. */
async function tried(title: string, asked: PresetSteps, gib: number): Promise<string | undefined> {
  const free = availableMemory() / 2 ** 30;
  if (free < gib) return `wanted ${gib} GiB of free memory; got ${free.toFixed(1)}`;
  try {
    const { stdout } = await promisify(execFile)(
      process.execPath,
      ['--import=tsx', PROGRAM, JSON.stringify(asked)],
      { env: engineEnvironment(process.env) },
    );
    const { metrics, milliseconds, peakMib } = JSON.parse(stdout) as StepsResult & {
      readonly peakMib: number;
    };
    const { loss, gradNorm, paramNorm } = metrics;
    // The step itself refuses what isn't finite.
    if (!(loss > 0 && gradNorm > 0))
      return `wanted a loss and a gradient above 0; got ${loss} and ${gradNorm}`;
    const [first, second] = milliseconds;
    const numbers = `loss ${loss.toFixed(4)}, |gradient| ${gradNorm.toFixed(3)}, |parameters| ${paramNorm.toFixed(1)}`;
    console.log(`✔ ${title}: ${numbers}; steps of ${first} and ${second} ms, at most ${peakMib} MiB`);
    return undefined;
  } catch (error) {
    return String((error as { stderr?: string }).stderr ?? error).slice(-2000);
  }
}

/** The memory available without swapping, as Linux reports it; elsewhere the free memory, which is less. */
function availableMemory(): number {
  try {
    const kib = /^MemAvailable:\s+(\d+) kB/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1];
    return kib === undefined ? freemem() : Number(kib) * 1024;
  } catch {
    return freemem();
  }
}
