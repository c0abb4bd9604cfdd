/** What a pack holds beside programs: networks to time, and what the CPU engine computed, to compare a device with. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import type { UNetConfig } from '../../shared/model/index.js';
import type { Log } from '../engine/compiled/training.js';

const INDEX = 'pack.json';

export interface TimedNetwork {
  readonly name: string;
  readonly architecture: UNetConfig;
  readonly trainBatch: number;
  readonly sampleBatch: number;
}

export interface PackIndex {
  readonly commit: string;
  readonly networks: readonly TimedNetwork[];
}

interface Index extends PackIndex {
  /** Names and lengths of the arrays of `expected.bin`, in turn. */
  readonly expected: readonly (readonly [name: string, length: number])[];
}

export interface Packed extends Omit<Index, 'expected'> {
  /** Every output of three training steps of `CHECKED` on the CPU engine, and every variable after them. */
  readonly expected: Log;
}

export function writePacked(folder: string, { expected, ...rest }: Packed): void {
  const entries = Object.entries(expected);
  const index: Index = { ...rest, expected: entries.map(([name, values]) => [name, values.length]) };
  writeIndex(folder, index);
  const bytes = entries.map(([, { buffer, byteOffset, byteLength }]) =>
    Buffer.from(buffer, byteOffset, byteLength),
  );
  writeFileSync(join(folder, 'expected.bin'), Buffer.concat(bytes));
}

export function readPacked(folder: string): Packed {
  const { expected, ...rest } = readIndex(folder) as Index;
  const bytes = readFileSync(join(folder, 'expected.bin'));
  const values = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  const log: Log = {};
  let begin = 0;
  for (const [name, length] of expected) {
    log[name] = values.slice(begin, begin + length);
    begin += length;
  }
  return { ...rest, expected: log };
}

export function writeIndex(folder: string, index: PackIndex): void {
  writeFileSync(join(folder, INDEX), `${JSON.stringify(index)}\n`);
}

export function readIndex(folder: string): PackIndex {
  return JSON.parse(readFileSync(join(folder, INDEX), 'utf8')) as PackIndex;
}
