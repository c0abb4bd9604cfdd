/** What must hold on a device before it is worth measuring: the CPU's results, and the same bits again. */
import type { Engine, EnginePrecision } from '../../shared/engine/index.js';
import type { UNetConfig } from '../../shared/model/index.js';
import { trainingModule } from '../../shared/training/training-module.js';
import { batch, NETWORK, rates, trained, trainedDifferences, training } from '../engine/compiled/training.js';
import type { Log } from '../engine/compiled/training.js';

export interface Check {
  readonly check: string;
  /** The largest difference from what was wanted, relative to the largest magnitude. */
  readonly difference: number;
  readonly limit: number;
  readonly holds: boolean;
}

/** The network of the checks: of all parts, with several heads, and small, since the pack has its variables. */
export const CHECKED: UNetConfig = { ...NETWORK, channelMult: [1, 1], numHeadChannels: 16 };

/** float32 in other kernels; factors with 8 bits, of which three steps make more. */
const LIMITS: Readonly<Record<EnginePrecision, number>> = { float32: 1e-4, bfloat16: 0.1 };

/** @param expected As `Packed` has it. */
export async function checks(engine: Engine, expected: Log): Promise<Check[]> {
  const done: Check[] = [];
  for (const precision of ['float32', 'bfloat16'] as const) {
    const config = { ...training(CHECKED, 1), precision };
    const module = trainingModule(config);
    const names = module.variables.map(({ name }) => name);
    const run = async (): Promise<Log> => {
      const loaded = await engine.load(module);
      try {
        return await trained(loaded, config, names);
      } finally {
        await loaded.dispose();
      }
    };
    const first = await run();
    const limit = LIMITS[precision];
    const differences = trainedDifferences(first, expected, limit);
    const worst = differences.reduce((a, b) => (b.difference / b.limit > a.difference / a.limit ? b : a));
    done.push({
      check: `three training steps in ${precision} are the CPU's (${worst.name})`,
      ...{ difference: worst.difference, limit: worst.limit, holds: worst.difference <= worst.limit },
    });
    done.push(equal(`three training steps in ${precision} have the same bits again`, await run(), first));
  }
  done.push(await resumed(engine));
  return done;
}

/** Two steps, stored and loaded between them, against two steps in one go. */
async function resumed(engine: Engine): Promise<Check> {
  const module = trainingModule(training(CHECKED, 1));
  const names = module.variables.map(({ name }) => name);
  const from = async (start: ReadonlyMap<string, Float32Array>, steps: readonly number[]) => {
    const loaded = await engine.load(module);
    try {
      await loaded.assign(start);
      for (const n of steps) await loaded.run('trainStep', { ...batch(CHECKED, n), ...rates(n) });
      return await loaded.read(names);
    } finally {
      await loaded.dispose();
    }
  };
  const start = new Map(
    module.variables.map(({ name, shape }) => {
      const length = shape.reduce((product, each) => product * each, 1);
      return [name, Float32Array.from({ length }, (_, i) => 0.01 * ((i % 7) - 3))];
    }),
  );
  const whole = await from(start, [0, 1]);
  const inParts = await from(await from(start, [0]), [1]);
  return equal(
    'training that is stored and resumed has the bits of an uninterrupted run',
    fields(inParts),
    fields(whole),
  );
}

const fields = (values: ReadonlyMap<string, Float32Array>): Log => Object.fromEntries(values);

function equal(check: string, got: Log, wanted: Log): Check {
  const differing = Object.entries(wanted).filter(
    ([name, values]) =>
      !Buffer.from(values.buffer).equals(Buffer.from(got[name]?.buffer ?? new ArrayBuffer(0))),
  );
  return { check, difference: differing.length, limit: 0, holds: differing.length === 0 };
}
