/**
 * Runs kernels in less address space than their scratch memory takes, and then in enough; prints what came of each run.
 * One takes its scratch in the thread that called it, the other in all threads of the pool.
 */
import { readFileSync } from 'node:fs';

import koffi from 'koffi';

import { createBuilder } from '../../../shared/engine/compiled/builder.js';
import type { Attributes } from '../../../shared/engine/compiled/graph.js';
import { openSession } from '../../../shared/engine/compiled/session.js';
import { createCompiledEngine } from '../../../shared/engine/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';
import { run as runNode } from './one-node.js';

const MIB = 2 ** 20;
const RLIMIT_AS = 9;
const UNLIMITED = 2n ** 64n - 1n;
const setrlimit = koffi.load(null).func('int setrlimit(int resource, const void *limit)');

function limitAddressSpace(bytes: bigint): void {
  if (setrlimit(RLIMIT_AS, BigUint64Array.of(bytes, UNLIMITED)) !== 0) throw new Error('setrlimit failed');
}

function addressSpace(): number {
  const kib = /^VmSize:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  return Number(kib) * 1024;
}

async function called(
  op: string,
  shapes: readonly (readonly number[])[],
  attributes: Attributes,
): Promise<string> {
  const builder = createBuilder('');
  const inputs = shapes.map((shape) => builder.one('Fill', [builder.integers(shape), builder.float(0.1)]));
  const result = builder.one(op, inputs, attributes);
  const some = builder.one('Max', [result, builder.integers(result.shape.map((_, axis) => axis))]);
  const session = openSession();
  try {
    session.extend(builder.graph);
    await session.prepare([], [some], [])([]);
    return 'computed';
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    const where = error.message.includes("in a kernel of the engine's own") ? 'in a kernel' : error.message;
    return `${error.code} ${error.reason} ${where}`;
  } finally {
    session.close();
  }
}

await createCompiledEngine();
// Starts the pool's threads, with their stacks.
await runNode({
  op: 'NativeConv3x3',
  inputs: [
    [8, 16, 16, 64],
    [3, 3, 64, 64],
  ],
});

const CHANNELS = 1024;
const [PIXELS, HEAD_CHANNELS] = [2 ** 12, 1024];
const heads = { count: { int: 1 }, parts_first: { bool: true }, low_precision: { bool: false } };
const runs = [
  // Of filter 36 MiB, and 96 of what it is transformed to.
  [
    'NativeConv3x3',
    [
      [1, 8, 8, CHANNELS],
      [3, 3, CHANNELS, CHANNELS],
    ],
    {},
    110 * MIB,
  ],
  // In 96 MiB, out 32, and 17 for each thread.
  ['NativeAttention', [[2, PIXELS, 3 * HEAD_CHANNELS]], heads, 140 * MIB],
] as const;
for (const [op, shapes, attributes, enoughForTensors] of runs) {
  limitAddressSpace(BigInt(addressSpace() + enoughForTensors));
  const outcome = await called(op, shapes, attributes);
  limitAddressSpace(UNLIMITED);
  console.log(`${op}: ${outcome}`);
}
for (const [op, shapes, attributes] of runs) console.log(`${op}: ${await called(op, shapes, attributes)}`);
