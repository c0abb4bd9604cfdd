/** Children that hang, children that send invalid messages, and the time that counts for them. */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serialize } from 'node:v8';

import test from 'ava';

import { deferred, runningTime, systemClock } from '../../shared/foundation/index.js';
import { describeExit, siblingModule, startChild } from '../../shared/processes/index.js';
import { memoryKills } from '../../shared/processes/memory-kills.js';
import { programArguments } from '../programs.js';
import { BEGIN } from './begin-protocol.js';
import { TALK } from './talk-protocol.js';

const startBlocked = (heartbeatTimeoutMs: number, onMessage: () => void) =>
  startChild({
    module: siblingModule(import.meta.url, './blocked-process'),
    protocol: BEGIN,
    environment: process.env,
    onMessage,
    heartbeatTimeoutMs,
    clock: systemClock,
  });

const startTalking = (onValues: (values: Float32Array) => void = () => undefined) =>
  startChild({
    module: siblingModule(import.meta.url, './misbehaving-process'),
    protocol: TALK,
    environment: process.env,
    onMessage: ({ values }) => {
      onValues(values);
    },
    heartbeatTimeoutMs: 600_000,
    clock: systemClock,
  });

test('a child that sends no heartbeat is killed, and its exit says so [fault 67]', async (t) => {
  const child = startBlocked(6000, () => undefined);
  child.send({ kind: 'begin' });
  const { signal, unresponsive } = await child.exited;
  t.is(signal, 'SIGKILL');
  t.is(unresponsive, 'it sent no heartbeat for 6 s');
});

test('a child stays although its parent is blocked for longer than the heartbeat timeout [fault 24]', async (t) => {
  const alive = deferred();
  const child = startChild({
    module: siblingModule(import.meta.url, './misbehaving-process'),
    protocol: TALK,
    environment: process.env,
    onMessage: () => {
      alive.resolve();
    },
    heartbeatTimeoutMs: 2000,
    clock: systemClock,
  });
  const echo = { kind: 'echo', values: new Float32Array(1) } as const;
  child.send(echo);
  await alive.promise;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
  // Time for the timers that are late.
  await new Promise((resume) => setTimeout(resume, 200));
  let isOver = false;
  void child.exited.then(() => {
    isOver = true;
  });
  await new Promise(setImmediate);
  t.false(isOver);
  child.kill();
  t.is((await child.exited).unresponsive, undefined);
});

test('a child that is killed from outside does not count as hung', async (t) => {
  const child = startBlocked(600_000, () => {
    child.kill();
  });
  child.send({ kind: 'begin' });
  const exit = await child.exited;
  t.like(exit, { signal: 'SIGKILL', unresponsive: undefined, invalidMessage: undefined });
  t.is(describeExit(exit), 'was killed by SIGKILL');
});

test('messages larger than a pipe holds arrive whole and in their order, both ways', async (t) => {
  const sizes = [0, 1, 500_000, 3, 16_381, 16_382, 16_383, 500_000];
  const echoed: Float32Array[] = [];
  const all = deferred();
  const child = startTalking((values) => {
    if (echoed.push(values) === sizes.length) all.resolve();
  });
  for (const size of sizes)
    child.send({ kind: 'echo', values: Float32Array.from({ length: size }, (_, i) => size + i) });
  await Promise.race([all.promise, child.exited]);
  t.deepEqual(
    echoed.map(({ length }) => length),
    sizes,
  );
  for (const values of echoed) t.true(values.every((value, i) => value === Math.fround(values.length + i)));
  child.kill();
  await child.exited;
});

const frame = (value: Uint8Array, length = value.length): Buffer => {
  const header = Buffer.alloc(4);
  header.writeUInt32LE(length);
  return Buffer.concat([header, value]);
};
const circular: Record<string, unknown> = { kind: 'echoed' };
circular['values'] = circular;

for (const [what, bytes, invalidMessage] of [
  ['junk', Buffer.from('no frame, and no value'), /frame of \d+ bytes; wanted at most 4194304$/],
  ['an empty frame', frame(Buffer.alloc(0)), /^it sent a frame of 0 bytes that can't be decoded$/],
  ['a damaged value', frame(Buffer.alloc(12, 255)), /^it sent a frame of 12 bytes that can't be decoded$/],
  ['a truncated value', frame(serialize('a text').subarray(0, 5)), /that can't be decoded$/],
  ['a message of another protocol', frame(serialize({ kind: 'hello' })), /^it sent { kind: 'hello' }$/],
  ['no object', frame(serialize(null)), /^it sent null$/],
  ['an object that holds itself', frame(serialize(circular)), /^it sent <ref \*1> {/],
  ['an invalid heartbeat', frame(serialize({ kind: 'heartbeat', overdue: 7 })), /overdue: 7/],
  ['a long text', frame(serialize('a'.repeat(50_000))), /^it sent 'a{200}'\.\.\. 49800 more characters$/],
] as const) {
  test(`a child that writes ${what} to its channel is killed, and its exit says so [fault 68]`, async (t) => {
    const child = startTalking();
    child.send({ kind: 'write', bytes });
    const exit = await child.exited;
    t.is(exit.signal, 'SIGKILL');
    t.regex(exit.invalidMessage ?? '', invalidMessage);
    t.is(describeExit(exit), 'sent an unknown message and was killed');
  });
}

test('a child whose parent reads more slowly than it sends ends instead of growing [fault 68]', async (t) => {
  const child = startTalking();
  child.send({ kind: 'flood' });
  const { code, invalidMessage, stderrTail } = await child.exited;
  t.is(code, 1);
  t.is(invalidMessage, undefined);
  t.regex(stderrTail, /^the parent process: it did not read \d+ bytes that were sent to it$/m);
});

test('a message that is larger than the protocol allows is not sent [fault 68]', (t) => {
  const child = startTalking();
  t.throws(
    () => {
      child.send({ kind: 'echo', values: new Float32Array(1024 ** 2) });
    },
    { instanceOf: RangeError },
  );
  child.kill();
});

test('of the time between two calls only the time that a running process needs counts', (t) => {
  let time = 100;
  const now = runningTime({ wallMs: () => 0, monotonicMs: () => time }, 1500);
  const began = now();
  time += 1000;
  t.is(now() - began, 1000);
  // Stopped for an hour.
  time += 3_600_000;
  t.is(now() - began, 2500);
  time += 1;
  t.is(now() - began, 2501);
});

test('a process that has no file descriptor left starts no child, says why, and goes on [fault 25]', (t) => {
  const program = programArguments(import.meta.url, './starved-process');
  // Room for Node itself, and for less than the pipes of a child.
  const { stdout, status, stderr } = spawnSync(process.execPath, program, { encoding: 'utf8' });
  t.is(status, 0, stderr);
  t.deepEqual(JSON.parse(stdout), { lackedToStart: 'EMFILE', then: 'echoed' });
});

test('a child that the system killed for memory is told from one that somebody killed [fault 65]', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'cgroup-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'jobs'));
  await writeFile(join(folder, 'own'), '0::/jobs\n');
  await writeFile(join(folder, 'jobs', 'memory.events'), 'low 0\noom 4\noom_kill 3\noom_group_kill 0\n');
  t.is(memoryKills(folder, join(folder, 'own')), 3);
  t.is(memoryKills(join(folder, 'none'), join(folder, 'own')), undefined);
  const ending = {
    code: null,
    signal: 'SIGKILL',
    unresponsive: undefined,
    invalidMessage: undefined,
  } as const;
  t.is(describeExit({ ...ending, stderrTail: '', outOfMemory: true }), 'was killed because memory ran out');
  t.is(describeExit({ ...ending, stderrTail: '', outOfMemory: false }), 'was killed by SIGKILL');
});
