import test from 'ava';

import { isOver, slopesOf, type Sample } from './slopes.js';

const MINUTE_MS = 60_000;

/** A life of a process, looked at every two seconds. */
function life(pid: number, fromMs: number, minutes: number, memoryMib: (minute: number) => number): Sample[] {
  return Array.from({ length: minutes * 30 }, (_, i) => ({
    ...{ process: 'trainer', pid, descriptors: 30, children: 2 },
    atMs: fromMs + 2000 * i,
    memoryMib: memoryMib(i / 30),
  }));
}

const memoryOf = (samples: readonly Sample[]) =>
  slopesOf(samples).find(({ quantity }) => quantity === 'memoryMib');

test('a leak shows through restarts, each life with a level of its own', (t) => {
  const leak = [
    ...life(1, 0, 8, (minute) => 100 + 10 * minute),
    ...life(2, 8 * MINUTE_MS, 8, (minute) => 80 + 10 * minute),
  ];
  const slope = memoryOf(leak);
  t.true(Math.abs((slope?.perMinute ?? 0) - 10) < 1e-9);
  t.true(slope !== undefined && isOver(slope) && !isOver({ ...slope, minutes: 5 }));
});

test('a process that takes memory when it starts, and a level that wavers, are no leak', (t) => {
  const slope = memoryOf(
    life(1, 0, 15, (minute) => 50 + (minute < 1 ? 100 * minute : 100) + ((minute * 30) % 7)),
  );
  t.true(slope !== undefined && !isOver(slope));
});

test('descriptors that stay have no slope; a life that was too short is left out', (t) => {
  const slopes = slopesOf(life(1, 0, 3, () => 100));
  t.is(slopes.find(({ quantity }) => quantity === 'descriptors')?.perMinute, 0);
  t.deepEqual(slopesOf(life(1, 0, 1.5, (minute) => 100 * minute)), []);
});
