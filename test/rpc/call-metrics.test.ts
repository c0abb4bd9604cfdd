/** Which calls are counted, and as what. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';

import { Client, credentials, Metadata } from '@grpc/grpc-js';
import test from 'ava';

import { readSettings } from '../../services/sampler/config.js';
import { checkSecurity } from '../../services/cli/doctor/security.js';
import { trainerWire } from '../../shared/contract/index.js';
import { DiffusionError, type Environment } from '../../shared/foundation/index.js';
import { metricRegistry } from '../../shared/metrics/index.js';
import { callObserver, serverStream, startGrpcServer, unary } from '../../shared/rpc/index.js';
import { temporaryFolder } from '../dataset/folders.js';
import { samplesOf, scrape, startingWith } from '../metrics/samples.js';
import { metricsAt, securityOf, SILENT } from './security.js';

const TRAINER = 'diffusion.trainer.v1.TrainerService';

test('calls are counted by method, code, reason and class of caller; an unknown method is no series', async (t) => {
  const path = join(await temporaryFolder(t), 'identities.json');
  const tokenSha256 = [createHash('sha256').update('token').digest('hex')];
  await writeFile(path, JSON.stringify({ identities: [{ name: 'reader', roles: ['read'], tokenSha256 }] }));
  const registry = metricRegistry();
  const options = {
    report: () => undefined,
    stallTimeoutMs: 60_000,
    onCall: callObserver(registry),
  };
  const { getTrainingJob, watchTrainingJob, deleteModel } = trainerWire.TrainerServiceService;
  const { port, metricsPort, stop } = await startGrpcServer({
    ...options,
    ...{ address: '127.0.0.1:0', log: SILENT, reflection: false },
    metrics: { ...metricsAt('127.0.0.1:0'), registry },
    service: { getTrainingJob, watchTrainingJob, deleteModel },
    serviceName: TRAINER,
    implementation: {
      getTrainingJob: unary(() => ({ job: undefined }), options),
      watchTrainingJob: serverStream(async function* () {
        yield await Promise.resolve({ position: '', event: undefined });
        throw new DiffusionError('JOB_MOVED', 'moved');
      }, options),
      deleteModel: unary(() => ({}), options),
    },
    security: securityOf({ IP_DIFFUSION_IDENTITIES_FILE: path }),
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  t.teardown(async () => {
    client.close();
    await stop(() => Promise.resolve(), 0);
  });
  const call = (method: string, token?: string): Promise<void> => {
    const metadata = new Metadata();
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    const same = (bytes: Buffer): Buffer => bytes;
    const stream = client.makeServerStreamRequest(method, same, same, Buffer.alloc(0), metadata);
    return new Promise((resolve) => {
      stream.on('data', () => undefined);
      stream.on('error', () => undefined);
      stream.on('status', () => {
        resolve();
      });
    });
  };
  await call(`/${TRAINER}/GetTrainingJob`, 'token');
  await call(`/${TRAINER}/GetTrainingJob`, 'token');
  await call(`/${TRAINER}/GetTrainingJob`, 'another');
  await call(`/${TRAINER}/WatchTrainingJob`, 'token');
  await call(`/${TRAINER}/DeleteModel`, 'token');
  await call('/grpc.health.v1.Health/Check');
  const known = samplesOf(await registry.text());
  for (const method of ['NoSuchMethod', 'a"b', 'GetTrainingJob/x'])
    await call(`/${TRAINER}/${method}`, 'token');
  await call('/no.such.Service/Get');
  const samples = await scrape(metricsPort);
  t.deepEqual(
    [...samples.keys()].filter((series) => series.startsWith('ip_diffusion_calls')),
    [...known.keys()].filter((series) => series.startsWith('ip_diffusion_calls')),
  );
  const series = (method: string, code: string, reason: string, caller: string): string =>
    `ip_diffusion_calls_total{method="${method}",code="${code}",reason="${reason}",caller="${caller}"}`;
  t.deepEqual(startingWith(samples, 'ip_diffusion_calls_total'), {
    [series(`${TRAINER}/GetTrainingJob`, 'OK', 'OK', 'authenticated')]: 2,
    [series(`${TRAINER}/GetTrainingJob`, 'UNAUTHENTICATED', 'UNAUTHENTICATED', 'anonymous')]: 1,
    [series(`${TRAINER}/WatchTrainingJob`, 'UNAVAILABLE', 'JOB_MOVED', 'authenticated')]: 1,
    [series(`${TRAINER}/DeleteModel`, 'PERMISSION_DENIED', 'ROLE_MISSING', 'authenticated')]: 1,
    [series('grpc.health.v1.Health/Check', 'OK', 'OK', 'anonymous')]: 1,
  });
  // Those that reached their handler.
  t.is(samples.get(`ip_diffusion_call_seconds_count{method="${TRAINER}/GetTrainingJob"}`), 2);
  t.is(samples.get(`ip_diffusion_call_seconds_count{method="${TRAINER}/DeleteModel"}`), undefined);
});

test('a service listens on both addresses or on none', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  const free = createServer().listen(0, '127.0.0.1');
  await Promise.all([once(taken, 'listening'), once(free, 'listening')]);
  const addressOf = (server: Server): string => `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const [takenAddress, freeAddress] = [addressOf(taken), addressOf(free)];
  t.teardown(() => taken.close());
  free.close();
  await once(free, 'close');
  const { getTrainingJob } = trainerWire.TrainerServiceService;
  for (const [address, ofMetrics] of [
    [takenAddress, freeAddress],
    [freeAddress, takenAddress],
  ] as const) {
    const starting = startGrpcServer({
      ...{ address, log: SILENT, reflection: false, security: securityOf() },
      ...{ report: () => undefined, stallTimeoutMs: 60_000 },
      ...{ service: { getTrainingJob }, serviceName: TRAINER, implementation: {} },
      metrics: { ...metricsAt(ofMetrics), registry: metricRegistry() },
    });
    const error = await t.throwsAsync(starting, { instanceOf: DiffusionError });
    t.is(error.reason, 'ADDRESS_UNAVAILABLE');
    await t.throwsAsync(once(connect(Number(freeAddress.split(':')[1]), '127.0.0.1'), 'connect'), {
      code: 'ECONNREFUSED',
    });
  }
});

test('metrics are off unless an address is set', (t) => {
  t.is(readSettings({}).metrics, undefined);
  t.like(readSettings({ IP_DIFFUSION_METRICS_ADDRESS: '127.0.0.1:9464' }).metrics, {
    ...{ address: '127.0.0.1:9464', tls: undefined, tokenFile: undefined, warning: undefined },
  });
});

const TLS = { IP_DIFFUSION_TLS_CERT_FILE: 'tls.crt', IP_DIFFUSION_TLS_KEY_FILE: 'tls.key' };
const TOKEN = { IP_DIFFUSION_METRICS_TOKEN_FILE: 'token' };
const INSECURE = { IP_DIFFUSION_METRICS_INSECURE: 'on' };

test('on a network metrics need a certificate and a token, or to be insecure on purpose', (t) => {
  const at = (address: string, env: Environment) =>
    readSettings({ IP_DIFFUSION_METRICS_ADDRESS: address, ...env }).metrics;
  for (const address of ['0.0.0.0:9464', '[::]:9464', 'metrics.example:9464'])
    for (const [env, ...missing] of [
      [{}, 'IP_DIFFUSION_METRICS_TOKEN_FILE', 'IP_DIFFUSION_TLS_CERT_FILE'],
      [TLS, 'IP_DIFFUSION_METRICS_TOKEN_FILE'],
      [TOKEN, 'IP_DIFFUSION_TLS_CERT_FILE'],
      // What lets calls in without TLS says nothing about metrics.
      [{ ...TOKEN, IP_DIFFUSION_INSECURE: 'on' }, 'IP_DIFFUSION_TLS_CERT_FILE'],
    ] as const) {
      const error = t.throws(() => at(address, env), { instanceOf: DiffusionError });
      t.deepEqual(error.violations.map(({ field }) => field).sort(), missing);
      t.regex(error.message, /IP_DIFFUSION_METRICS_INSECURE=on \(--metrics-insecure\) does without/);
    }
  t.like(at('0.0.0.0:9464', { ...TLS, ...TOKEN }), {
    ...{ tls: { certFile: 'tls.crt', keyFile: 'tls.key' }, tokenFile: 'token', warning: undefined },
  });
  t.regex(
    at('0.0.0.0:9464', INSECURE)?.warning ?? '',
    /^metrics are served on 0\.0\.0\.0:9464 without TLS and a token:/,
  );
  t.regex(at('0.0.0.0:9464', { ...INSECURE, ...TOKEN })?.warning ?? '', /without TLS:/);
  const { state, text } = checkSecurity({ IP_DIFFUSION_METRICS_ADDRESS: '0.0.0.0:9464', ...INSECURE });
  t.is(state, 'warning');
  t.is(text.match(/metrics are served/g)?.length, 1);
});

test('what is no address of metrics is refused', (t) => {
  for (const address of ['9464', 'unix:metrics']) {
    const read = () => readSettings({ IP_DIFFUSION_METRICS_ADDRESS: address });
    const error = t.throws(read, { instanceOf: DiffusionError });
    t.deepEqual(error.violations[0]?.field, 'IP_DIFFUSION_METRICS_ADDRESS', address);
  }
});
