/** Which samplers a pool has, and which of them gets a call. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import test from 'ava';

import { samplerPool, type SamplerPool } from '../../shared/batch/index.js';
import { samplersAt } from '../../shared/batch/sampler-addresses.js';
import { deferred, DiffusionError, systemClock } from '../../shared/foundation/index.js';
import { callUnary } from '../../shared/rpc/index.js';
import { fakeSampler } from '../cli/fake-sampler.js';
import { stoppedClock } from '../cli/sinks.js';
import { temporaryFolder } from '../dataset/folders.js';
import { authority } from '../rpc/certificates.js';
import { securityOf } from '../rpc/security.js';

const { signal } = new AbortController();

const four = (...ips: string[]) => ips.map((address) => ({ address, family: 4 }));
const six = (...ips: string[]) => ips.map((address) => ({ address, family: 6 }));

const NAMES: readonly [what: string, found: ReturnType<typeof four>, addresses: string[]][] = [
  ['several pods', four('10.0.0.1', '10.0.0.2'), ['10.0.0.1:5', '10.0.0.2:5']],
  ['one machine of two families', [...six('::1'), ...four('127.0.0.1')], ['pods:5']],
  [
    'pods of two families',
    [...six('fd::1', 'fd::2'), ...four('10.0.0.1', '10.0.0.2')],
    ['10.0.0.1:5', '10.0.0.2:5'],
  ],
  ['pods of IPv6', six('fd::1', 'fd::2'), ['[fd::1]:5', '[fd::2]:5']],
  ['the same address twice', four('10.0.0.1', '10.0.0.1'), ['pods:5']],
];

for (const [what, found, addresses] of NAMES) {
  test(`a name with ${what} is ${addresses.join(' and ')}`, async (t) => {
    const samplers = await samplersAt('pods:5', (host) => {
      t.is(host, 'pods');
      return Promise.resolve(found);
    });
    t.deepEqual(
      samplers.map(({ address }) => address),
      addresses,
    );
    t.true(samplers.every(({ address, name }) => address === 'pods:5' || name === 'pods'));
  });
}

test('an IP address is not resolved', async (t) => {
  for (const address of ['127.0.0.1:5', '[::1]:5'])
    t.deepEqual(await samplersAt(address, () => Promise.reject(new Error('resolved'))), [
      { address, name: undefined },
    ]);
});

/** Begins calls that go on until they are ended. @returns the samplers that have them. */
function hold(pool: SamplerPool, calls: number): { readonly held: string[]; end(): Promise<void> } {
  const held: string[] = [];
  const { promise, resolve } = deferred();
  const all = Array.from({ length: calls }, () =>
    pool.use(signal, ({ address }) => {
      held.push(address);
      return promise;
    }),
  );
  return {
    held,
    end: async () => {
      resolve();
      await Promise.all(all);
    },
  };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('calls are shared among the addresses of a name; it is resolved again, and keeps them while it can not be', async (t) => {
  const clock = stoppedClock();
  let answer = (): Promise<ReturnType<typeof four>> => Promise.resolve(four('10.0.0.1', '10.0.0.2'));
  const pool = await samplerPool({
    ...{ addresses: ['pods:5', '10.0.1.1:5'], security: {}, clock, patienceMs: 1000 },
    onAway: () => undefined,
    resolve: () => answer(),
  });
  t.teardown(() => {
    pool.close();
  });
  t.is(pool.size(), 3);
  const before = hold(pool, 6);
  await settled();
  t.deepEqual(before.held.toSorted(), [
    ...['10.0.0.1:5', '10.0.0.1:5', '10.0.0.2:5', '10.0.0.2:5', '10.0.1.1:5', '10.0.1.1:5'],
  ]);
  answer = () => Promise.resolve(four('10.0.0.2', '10.0.0.3'));
  clock.nowMs = 10_000;
  await pool.use(signal, () => Promise.resolve());
  await settled();
  const after = hold(pool, 2);
  await settled();
  t.deepEqual(after.held, ['10.0.0.3:5', '10.0.0.3:5']);
  answer = () => Promise.reject(new Error('no resolver answers'));
  clock.nowMs = 20_000;
  await pool.use(signal, () => Promise.resolve());
  await settled();
  t.is(pool.size(), 3);
  await before.end();
  await after.end();
});

test('a pool that had nothing to do for long is as patient as before', async (t) => {
  const clock = stoppedClock();
  const pool = await samplerPool({
    ...{ addresses: ['10.0.0.1:5'], security: {}, clock, patienceMs: 1000 },
    onAway: () => undefined,
  });
  t.teardown(() => {
    pool.close();
  });
  clock.nowMs = 5000;
  let calls = 0;
  const used = pool.use(signal, () => {
    calls += 1;
    if (calls > 1) return Promise.resolve('made');
    // It passes before the call gives up.
    clock.nowMs += 900;
    throw new DiffusionError('SERVICE_UNREACHABLE', 'away');
  });
  await settled();
  clock.nowMs += 60_000;
  t.is(await used, 'made');
});

const onLinux = process.platform === 'linux' ? test : test.skip;

// Elsewhere loopback has one address.
onLinux('over TLS the certificate of each is for the name', async (t) => {
  const folder = await temporaryFolder(t);
  const path = (name: string): string => join(folder, name);
  const trusted = await authority();
  const { cert, key } = await trusted.issue('samplers', { names: [{ type: 'dns', value: 'pods' }] });
  for (const [name, text] of Object.entries({ ca: trusted.cert, cert, key }))
    await writeFile(path(name), text);
  const security = securityOf({
    IP_DIFFUSION_TLS_CERT_FILE: path('cert'),
    IP_DIFFUSION_TLS_KEY_FILE: path('key'),
  });
  const { address } = await fakeSampler(t, { security });
  const port = address.split(':').at(-1) ?? '';
  await fakeSampler(t, { security, address: `127.0.0.2:${port}` });
  const pool = await samplerPool({
    ...{ addresses: [`pods:${port}`], security: { ca: path('ca') }, clock: systemClock, patienceMs: 1000 },
    onAway: (at, state) => {
      if (state !== undefined) t.fail(`${at}: ${state.error.message}`);
    },
    resolve: () => Promise.resolve(four('127.0.0.1', '127.0.0.2')),
  });
  t.teardown(() => {
    pool.close();
  });
  const asked = [0, 1].map(() =>
    pool.use(signal, async ({ address: at, client }) => {
      await callUnary(client, client.getServerInfo, {}, { signal });
      return at;
    }),
  );
  t.deepEqual((await Promise.all(asked)).sort(), [`127.0.0.1:${port}`, `127.0.0.2:${port}`]);
});
