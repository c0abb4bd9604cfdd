/** What must hold on a device before it is worth measuring: the CPU's results, and the same bits again. */
import type { Engine, EnginePrecision } from '../../shared/engine/index.js';
import type { PjrtEngine } from '../../shared/engine/pjrt/pjrt-engine.js';
import type { UNetConfig } from '../../shared/model/index.js';
import { trainingModule } from '../../shared/training/training-module.js';
import { batch, NETWORK, rates, trained, trainedDifferences, training } from '../engine/compiled/training.js';
import type { Log } from '../engine/compiled/training.js';
import type { EngineWay } from './engine-ways.js';

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
async function checks(
  engine: Engine,
  { name, precisions, repeats }: EngineWay,
  expected: Log,
): Promise<Check[]> {
  const done: Check[] = [];
  for (const precision of precisions) {
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
      check: `${name}: three training steps in ${precision} are the CPU's (${worst.name})`,
      ...{ difference: worst.difference, limit: worst.limit, holds: worst.difference <= worst.limit },
    });
    if (repeats)
      done.push(
        equal(`${name}: three training steps in ${precision} again have the same bits`, await run(), first),
      );
  }
  if (repeats) done.push(await resumed(engine, name, precisions[0]));
  return done;
}

export interface CheckedWays {
  readonly checks: readonly Check[];
  /** Those of which all checks hold. */
  readonly ways: readonly EngineWay[];
  /** Device arrays and programs that are left afterwards. */
  readonly left: number;
}

/** The first way alone, then the others at the same time. @param start Starts the engine in one of them. */
export async function checkWays(
  [first, ...others]: readonly [EngineWay, ...EngineWay[]],
  start: (way: EngineWay) => Promise<PjrtEngine>,
  expected: Log,
): Promise<CheckedWays> {
  const checked = async (way: EngineWay) => {
    try {
      const engine = await start(way);
      const done = await checks(engine, way, expected);
      const left = engine.live();
      engine.close();
      return { way, done, left };
    } catch (error) {
      const check = `${way.name}: ${String(error)}`;
      return { way, done: [{ check, difference: Infinity, limit: 0, holds: false }], left: 0 };
    }
  };
  const all = [await checked(first), ...(await Promise.all(others.map(checked)))];
  return {
    checks: all.flatMap(({ done }) => done),
    ways: all.filter(({ done }) => done.every(({ holds }) => holds)).map(({ way }) => way),
    left: all.reduce((sum, { left }) => sum + left, 0),
  };
}

/** Two steps, stored and loaded between them, against two steps in one go. */
async function resumed(engine: Engine, name: string, precision: EnginePrecision = 'float32'): Promise<Check> {
  const module = trainingModule({ ...training(CHECKED, 1), precision });
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
    `${name}: training that is stored and resumed has the bits of an uninterrupted run`,
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
