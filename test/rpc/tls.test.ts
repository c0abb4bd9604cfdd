/** TLS between real servers and clients: who is let in, and what happens when certificates are exchanged. */

import { rename, writeFile } from 'node:fs/promises';
import { connect as connectPlain } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';

import { trainerWire } from '../../shared/contract/index.js';
import { changes, DiffusionError } from '../../shared/foundation/index.js';
import {
  callStream,
  callUnary,
  connectTrainer,
  serverStream,
  startGrpcServer,
  unary,
  type ClientSecurity,
} from '../../shared/rpc/index.js';
import { temporaryFolder } from '../dataset/folders.js';
import { authority, type Pair } from './certificates.js';
import { securityOf, SILENT } from './security.js';

const options = { report: () => undefined, stallTimeoutMs: 60_000 };
const trusted = await authority();
const stranger = await authority('another authority');

async function replaced(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text);
  await rename(`${path}.new`, path);
}

/** A trainer over TLS whose watch goes on whenever `more` is notified, and which says who calls. */
async function serve(
  t: ExecutionContext,
  variables: (folder: string) => Record<string, string> = () => ({}),
) {
  const folder = await temporaryFolder(t);
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const put = async ({ cert, key }: Pair): Promise<void> => {
    await replaced(certFile, cert);
    await replaced(keyFile, key);
  };
  await put(await trusted.issue('first'));
  const files = { ca: join(folder, 'ca.pem') };
  await writeFile(files.ca, trusted.cert);
  const more = changes();
  const warnings: string[] = [];
  const { getTrainingJob, watchTrainingJob } = trainerWire.TrainerServiceService;
  const server = await startGrpcServer({
    ...options,
    address: '127.0.0.1:0',
    security: securityOf({
      IP_DIFFUSION_TLS_CERT_FILE: certFile,
      IP_DIFFUSION_TLS_KEY_FILE: keyFile,
      ...variables(folder),
    }),
    log: { warn: (message: string) => warnings.push(message), debug: () => undefined, info: () => undefined },
    reflection: true,
    service: { getTrainingJob, watchTrainingJob },
    serviceName: 'diffusion.trainer.v1.TrainerService',
    implementation: {
      getTrainingJob: unary(
        (_request, { caller }) => ({ job: trainerWire.TrainingJob.create({ message: caller }) }),
        options,
      ),
      watchTrainingJob: serverStream(async function* (_request: unknown, { signal }) {
        for (let number = 1; ; number++) {
          yield { position: String(number), event: undefined };
          await more.next(signal);
        }
      }, options),
    },
  });
  t.teardown(() => server.stop(() => Promise.resolve(), 0));
  const address = `127.0.0.1:${server.port}`;
  const client = (security: ClientSecurity) => {
    const made = connectTrainer(address, { security });
    t.teardown(() => {
      made.close();
    });
    return made;
  };
  return {
    ...{ folder, files, certFile, keyFile, put, more, warnings, address, client },
    port: server.port,
    /** Who the service takes a client for. */
    callerOf: async (security: ClientSecurity) => {
      const made = client(security);
      const answer = await callUnary(made, made.getTrainingJob, { jobId: '' }, { timeoutMs: 10_000 });
      return answer.job?.message;
    },
    /** The subject of the certificate that a new connection is shown. */
    shown: async () => {
      const socket = connect({
        port: server.port,
        host: '127.0.0.1',
        ca: trusted.cert,
        ALPNProtocols: ['h2'],
      });
      await once(socket, 'secureConnect');
      const { subject } = socket.getPeerCertificate();
      socket.destroy();
      return subject.CN;
    },
  };
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await setTimeout(10);
}

test('certificates are exchanged without losing a stream, and new connections get the new one', async (t) => {
  const { files, client, put, more, shown } = await serve(t);
  const watcher = client(files);
  const events = callStream(watcher, watcher.watchTrainingJob, { jobId: '', after: '' });
  const next = async () => ((await events.next()).value as trainerWire.WatchTrainingJobResponse).position;
  t.is(await next(), '1');
  t.is(await shown(), 'first');
  await put(await trusted.issue('second'));
  await until(async () => (await shown()) === 'second');
  more.notify();
  t.is(await next(), '2');
  await events.return(undefined);
});

test('while certificate and key do not fit each other, or one is missing, the last good ones serve', async (t) => {
  const { certFile, keyFile, warnings, shown } = await serve(t);
  const next = await trusted.issue('next');
  await replaced(certFile, next.cert);
  await until(() => warnings.length === 1);
  t.is(await shown(), 'first');
  t.regex(warnings[0] ?? '', /the key is not that of the certificate; what was read before stays in use/);
  await replaced(certFile, 'nothing');
  await until(() => warnings.length === 2);
  t.is(await shown(), 'first');
  await replaced(certFile, next.cert);
  await replaced(keyFile, next.key);
  await until(async () => (await shown()) === 'next');
  t.false(warnings.join().includes('PRIVATE'));
});

test('clients that do not trust the server, or speak no TLS, reach no handler [fault 18]', async (t) => {
  const { folder, files, callerOf, port, shown } = await serve(t);
  t.is(await callerOf(files), 'anonymous:127.0.0.1');
  const other = join(folder, 'other.pem');
  await writeFile(other, stranger.cert);
  for (const security of [{ ca: other }, {}, { ca: 'system' }])
    await t.throwsAsync(callerOf(security), { instanceOf: DiffusionError, code: 'UNAVAILABLE' });
  for (const bytes of [
    'GET / HTTP/1.1\r\n\r\n',
    '\x16\x03\x01\xff\xff\xff',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  ]) {
    const socket = connectPlain(port, '127.0.0.1').on('error', () => undefined);
    socket.end(bytes);
    await once(socket.resume(), 'close');
  }
  t.is(await shown(), 'first');
});

const IDENTITIES = {
  identities: [
    { name: 'alice', roles: ['read'], certificates: ['CN:alice'] },
    { name: 'bob', roles: ['read'], certificates: ['DNS:bob.example'] },
  ],
};

async function mutual(t: ExecutionContext, mode: 'required' | 'optional') {
  const identitiesFile = join(await temporaryFolder(t), 'identities.json');
  await writeFile(identitiesFile, JSON.stringify(IDENTITIES));
  const served = await serve(t, (folder) => ({
    IP_DIFFUSION_TLS_CLIENT_CA_FILE: join(folder, 'ca.pem'),
    IP_DIFFUSION_TLS_CLIENT_CERTIFICATES: mode,
    IP_DIFFUSION_IDENTITIES_FILE: identitiesFile,
  }));
  const { folder, files } = served;
  const save = async (name: string, { cert, key }: Pair) => {
    const paths = { ...files, cert: join(folder, `${name}.cert`), key: join(folder, `${name}.key`) };
    await writeFile(paths.cert, cert);
    await writeFile(paths.key, key);
    return paths;
  };
  return { ...served, save };
}

test('a client is known by the names of its certificate', async (t) => {
  const { save, callerOf } = await mutual(t, 'required');
  t.is(await callerOf(await save('alice', await trusted.issue('alice'))), 'alice');
  const names = [{ type: 'dns' as const, value: 'bob.example' }];
  t.is(await callerOf(await save('bob', await trusted.issue('robert', { names }))), 'bob');
  const unknown = await save('carol', await trusted.issue('carol'));
  await t.throwsAsync(callerOf(unknown), { code: 'UNAUTHENTICATED' });
});

test('without a certificate of the right authority there is no connection [fault 29]', async (t) => {
  const { files, save, callerOf } = await mutual(t, 'required');
  const wrong = [
    files,
    await save('forged', await stranger.issue('alice')),
    await save('self', await authority('alice')),
    await save('expired', await trusted.issue('alice', { expired: true })),
  ];
  for (const security of wrong) await t.throwsAsync(callerOf(security), { code: 'UNAVAILABLE' });
});

test('where certificates are optional, one that was not verified counts for nothing [fault 30]', async (t) => {
  const { files, save, callerOf } = await mutual(t, 'optional');
  t.is(await callerOf(await save('alice', await trusted.issue('alice'))), 'alice');
  const wrong = [
    files,
    await save('forged', await stranger.issue('alice')),
    await save('self', await authority('alice')),
    await save('expired', await trusted.issue('alice', { expired: true })),
  ];
  for (const security of wrong) await t.throwsAsync(callerOf(security), { code: 'UNAUTHENTICATED' });
});

test('the authority of clients is exchanged while the server runs', async (t) => {
  const { folder, save, callerOf, client } = await mutual(t, 'required');
  const old = await save('alice', await trusted.issue('alice'));
  const watcher = client(old);
  const events = callStream(watcher, watcher.watchTrainingJob, { jobId: '', after: '' });
  await events.next();
  // A client of the new authority, which trusts the server's certificate as before.
  const ca = join(folder, 'server-ca.pem');
  await writeFile(ca, trusted.cert);
  const next = { ...(await save('next', await stranger.issue('alice'))), ca };
  await replaced(join(folder, 'ca.pem'), stranger.cert);
  await until(async () => (await callerOf(next).catch(() => undefined)) === 'alice');
  await t.throwsAsync(callerOf({ ...old, ca, key: old.key }), { code: 'UNAVAILABLE' });
  await events.return(undefined);
});

test('files that can not be used keep a server from starting, with one line that shows no key [fault 26]', async (t) => {
  const folder = await temporaryFolder(t);
  const [one, other] = [await trusted.issue('one'), await trusted.issue('other')];
  const path = (name: string) => join(folder, name);
  await writeFile(path('cert'), one.cert);
  await writeFile(path('key'), other.key);
  await writeFile(path('text'), 'no certificate');
  for (const [cert, key, message] of [
    ['cert', 'key', /the key is not that of the certificate/],
    ['text', 'key', /wanted a certificate in PEM/],
    ['cert', 'text', /wanted a private key in PEM/],
    ['cert', 'missing', /missing can't be used: ENOENT/],
  ] as const) {
    const security = securityOf({
      IP_DIFFUSION_TLS_CERT_FILE: path(cert),
      IP_DIFFUSION_TLS_KEY_FILE: path(key),
    });
    const started = startGrpcServer({
      ...options,
      ...{ address: '127.0.0.1:0', security, log: SILENT, reflection: false },
      ...{ service: {}, serviceName: '', implementation: {} },
    });
    const error = await t.throwsAsync(started, { instanceOf: DiffusionError, message });
    t.is(error.reason, 'CREDENTIALS_UNUSABLE');
    t.notRegex(error.message, /PRIVATE|\n/);
  }
});
