import { mkdtemp, readdir } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { connectSampler, whenReady } from '../../shared/rpc/index.js';
import { deferred } from '../../shared/foundation/index.js';
import { checkNode } from '../../services/cli/doctor/machine.js';
import { fakeTrainer } from './fake-trainer.js';
import { run } from './sinks.js';

const environment = { PATH: process.env['PATH'] ?? '', IP_DIFFUSION_LOG_LEVEL: 'silent' };

const freshFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'cli-'));

/** A port on which a server listens, until `close`. */
async function takenPort(): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer();
  const listening = deferred();
  server.listen(0, '127.0.0.1', () => {
    listening.resolve();
  });
  await listening.promise;
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = deferred();
      server.close(() => {
        closed.resolve();
      });
      await closed.promise;
    },
  };
}

test('serve runs a service until it is interrupted, and ends it cleanly', async (t) => {
  const { port, close } = await takenPort();
  await close();
  const interrupt = new AbortController();
  const store = await freshFolder();
  const words = ['serve', 'sampler', '--address', `127.0.0.1:${port}`, '--store', store];
  const running = run(words, { environment, signal: interrupt.signal });
  const client = connectSampler(`127.0.0.1:${port}`);
  await whenReady(client, 60_000);
  client.close();
  interrupt.abort();
  t.deepEqual(await running, { exitCode: 0, out: '', err: '' });
});

test('serve ends cleanly where it was interrupted before it began', async (t) => {
  const words = ['serve', 'sampler', '--address', '127.0.0.1:0', '--store', await freshFolder()];
  const signal = AbortSignal.abort();
  t.deepEqual(await run(words, { environment, signal }), { exitCode: 0, out: '', err: '' });
});

test('serve fails where a service can not start', async (t) => {
  const { port, close } = await takenPort();
  const words = ['serve', 'sampler', '--address', `127.0.0.1:${port}`, '--store', await freshFolder()];
  const { exitCode, err } = await run(words, { environment });
  t.is(exitCode, 1);
  t.is(err, 'error: the sampler ended (exit code 1)\n');
  await close();
});

test('doctor shows what is in order, what is wrong and how to correct it', async (t) => {
  const { address } = await fakeTrainer(t);
  const store = join(await freshFolder(), 'store');
  const words = ['doctor', '--trainer', address, '--sampler', '127.0.0.1:1', '--store', store];
  const { exitCode, out } = await run([...words, '--json'], { environment });
  const findings = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { name: string; state: string; remedy?: string });
  t.deepEqual(
    findings.map(({ name, state }) => [name, state]),
    [
      ['Node', 'ok'],
      ['TensorFlow', 'ok'],
      ['kernels', 'ok'],
      ['store', 'ok'],
      ['disk', 'ok'],
      ['security', 'ok'],
      ['trainer', 'ok'],
      ['sampler', 'wrong'],
    ],
  );
  t.is(findings.at(-1)?.remedy, 'start one with: npx ip-diffusion serve sampler');
  t.is(exitCode, 1);
  t.deepEqual(await readdir(join(store, '..')), []);
});

test('doctor knows which Node suits', (t) => {
  for (const version of ['20.19.0', '20.20.2', '22.1.0', '24.9.9'])
    t.is(checkNode(version).state, 'ok', version);
  for (const version of ['18.20.0', '20.11.0', '20.18.9', '25.0.0'])
    t.is(checkNode(version).state, 'wrong', version);
  t.is(checkNode('20.11.0').text, '20.11.0; wanted >=20.19 <25');
});
