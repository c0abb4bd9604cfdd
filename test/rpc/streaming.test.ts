/** What a stream costs the process that sends it, whatever it carries and however it is read. */

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { status, type StatusObject } from '@grpc/grpc-js';
import test from 'ava';

import { callStream, callUnary, connectTrainer } from '../../shared/rpc/index.js';
import { deferred, DiffusionError } from '../../shared/foundation/index.js';
import { siblingModule } from '../../shared/processes/index.js';
import { LOADER } from '../programs.js';

const MIB = 1024 * 1024;
/** Of 256 KiB each. */
const MESSAGES = 1200;
/** Room for what the stream's buffers hold (16 messages), and for what the collector takes its time with. */
const GROWTH_BYTES = 100 * MIB;

async function startServer(stallTimeoutMs: number, slowReaderLimitMs = Infinity) {
  const program = fileURLToPath(siblingModule(import.meta.url, './streaming-process'));
  const child = fork(program, [stallTimeoutMs, slowReaderLimitMs].map(String), { execArgv: [...LOADER] });
  const [port] = (await once(child, 'message')) as [number];
  const client = connectTrainer(`127.0.0.1:${port}`);
  const sizes = async (): Promise<number[]> => {
    const { job } = await callUnary(client, client.getTrainingJob, { jobId: '' });
    return (job?.message ?? '').split(' ').map(Number);
  };
  const read = async (
    messages: number,
    between: (count: number) => Promise<void> | void,
  ): Promise<number> => {
    let count = 0;
    const request = { jobId: String(messages), after: '' };
    const stream = callStream(client, client.watchTrainingJob, request);
    while ((await stream.next()).done !== true) {
      count += 1;
      await between(count);
    }
    return count;
  };
  return {
    client,
    sizes,
    read,
    stop: () => {
      client.close();
      child.kill();
    },
  };
}

for (const [reader, between] of [
  ['a fast reader', () => undefined],
  [
    'a slow reader',
    (count: number) => (count % 8 === 0 ? new Promise((resume) => setTimeout(resume, 20)) : undefined),
  ],
] as const) {
  test.serial(`300 MB to ${reader} do not make the sender larger [fault A2]`, async (t) => {
    const { sizes, read, stop } = await startServer(60_000);
    await read(40, () => undefined);
    const [, before = 0] = await sizes();
    t.is(await read(MESSAGES, between as (count: number) => Promise<void> | undefined), MESSAGES);
    const [largest = 0] = await sizes();
    t.true(largest - before < GROWTH_BYTES, `grew by ${Math.round((largest - before) / MIB)} MiB`);
    stop();
  });
}

test.serial(
  'a reader that takes nothing is cut off with a status, and what it was sent is let go [fault 100]',
  async (t) => {
    const { client, sizes, read, stop } = await startServer(200);
    await read(40, () => undefined);
    const [, before = 0] = await sizes();
    for (let i = 0; i < 8; i++) {
      const stalled = client.watchTrainingJob({ jobId: String(MESSAGES), after: '' });
      const ended = deferred<StatusObject>();
      stalled.on('status', ended.resolve);
      stalled.on('error', () => undefined);
      stalled.once('data', () => stalled.pause());
      t.is((await ended.promise).code, status.RESOURCE_EXHAUSTED);
    }
    const [largest = 0] = await sizes();
    t.true(largest - before < GROWTH_BYTES, `grew by ${Math.round((largest - before) / MIB)} MiB`);
    await t.notThrowsAsync(read(3, () => undefined));
    stop();
  },
);

test.serial(
  'a reader that takes a little now and then is cut off with a status once it was waited for long enough [fault A36, 100]',
  async (t) => {
    const { read, stop } = await startServer(60_000, 500);
    const slow = read(MESSAGES, () => new Promise((resume) => setTimeout(resume, 20)));
    const error = await t.throwsAsync(slow, { instanceOf: DiffusionError });
    t.is(error.code, 'RESOURCE_EXHAUSTED');
    t.is(await read(40, () => undefined), 40);
    stop();
  },
);
