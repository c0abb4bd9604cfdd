/** Which calls a server lets in: every method of every service, by every role. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';

import {
  Client,
  credentials,
  Metadata,
  status,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import { service as healthService } from 'grpc-health-check';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

import { METHOD_ROLES } from '../../shared/access/index.js';
import { measureWire, samplerWire, trainerWire } from '../../shared/contract/index.js';
import { deferred, DiffusionError, whenAborted } from '../../shared/foundation/index.js';
import {
  callStream,
  callUnary,
  connectTrainer,
  fromServiceError,
  serverStream,
  startGrpcServer,
  unary,
} from '../../shared/rpc/index.js';
import { temporaryFolder } from '../dataset/folders.js';
import { methodsOf } from '../faults/field-paths.js';
import { securityOf, SILENT } from './security.js';

const options = { report: () => undefined, stallTimeoutMs: 60_000 };
const ROLES = ['read', 'sample', 'train', 'admin'] as const;
const SERVICES: readonly (readonly [string, ServiceDefinition])[] = [
  ['diffusion.trainer.v1.TrainerService', trainerWire.TrainerServiceService],
  ['diffusion.sampler.v1.SamplerService', samplerWire.SamplerServiceService],
  ['diffusion.measure.v1.MeasureService', measureWire.MeasureServiceService],
];

/** One identity for each role, named as the role; `nothing` has none. The token of each is its name. */
async function identities(t: ExecutionContext): Promise<string> {
  const path = join(await temporaryFolder(t), 'identities.json');
  const list = [...ROLES, 'nothing'].map((name) => ({
    name,
    roles: name === 'nothing' ? [] : [name],
    tokenSha256: [createHash('sha256').update(name).digest('hex')],
  }));
  await writeFile(path, JSON.stringify({ identities: list }));
  return path;
}

async function serve(
  t: ExecutionContext,
  [serviceName, service]: readonly [string, ServiceDefinition],
  implementation: UntypedServiceImplementation,
  variables: Record<string, string> = {},
): Promise<string> {
  const server = await startGrpcServer({
    ...options,
    ...{ address: '127.0.0.1:0', log: SILENT, reflection: true },
    ...{ service, serviceName, implementation },
    security: securityOf({ IP_DIFFUSION_IDENTITIES_FILE: await identities(t), ...variables }),
  });
  server.readiness.set('start', undefined);
  t.teardown(() => server.stop(() => Promise.resolve(), 0));
  return `127.0.0.1:${server.port}`;
}

/** Every method answers at once, with an empty message. */
function answering(service: ServiceDefinition): UntypedServiceImplementation {
  return Object.fromEntries(
    Object.entries(service).map(([name, { responseStream }]) => [
      name,
      responseStream ? serverStream(async function* () {}, options) : unary(() => ({}), options),
    ]),
  );
}

/** The same, but each unary method says that it was reached by NOT_FOUND. */
function reached(service: ServiceDefinition): UntypedServiceImplementation {
  const unaries = Object.entries(service).filter(([, { responseStream }]) => !responseStream);
  const found = unary(() => {
    throw new DiffusionError('JOB_NOT_FOUND', 'reached');
  }, options);
  return { ...answering(service), ...Object.fromEntries(unaries.map(([name]) => [name, found])) };
}

/** The status of a call with an empty request. */
async function statusOf(client: Client, path: string, token: string | undefined): Promise<status> {
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  const same = (bytes: Buffer): Buffer => bytes;
  const call = client.makeBidiStreamRequest(path, same, same, metadata, { deadline: Date.now() + 20_000 });
  const { promise, resolve } = deferred<status>();
  call.on('data', () => {
    // A watch of health goes on.
    call.cancel();
    resolve(status.OK);
  });
  call.on('error', () => undefined);
  call.on('status', ({ code }) => {
    resolve(code);
  });
  call.end(Buffer.alloc(0));
  return promise;
}

const COMMON = [
  ...Object.values(healthService).map(({ path }) => path),
  '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
  '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
];

test('each method has a role, and no role is for a method that is not there', (t) => {
  const methods = SERVICES.flatMap(([name]) => methodsOf(name).map(({ path }) => path));
  t.deepEqual([...METHOD_ROLES.keys()].sort(), [...methods, ...COMMON].sort());
  for (const [method, role] of METHOD_ROLES) t.is(role === 'open', method.startsWith('/grpc.health.'));
});

for (const [name, service] of SERVICES) {
  test(`${name}: each method is for its role and for admins, and for nobody else [fault 27, 28]`, async (t) => {
    const client = new Client(
      await serve(t, [name, service], reached(service)),
      credentials.createInsecure(),
    );
    t.teardown(() => {
      client.close();
    });
    for (const path of [...methodsOf(name).map((method) => method.path), ...COMMON]) {
      const role = METHOD_ROLES.get(path);
      const isOpen = role === 'open';
      for (const caller of [...ROLES, 'nothing']) {
        const refused = (await statusOf(client, path, caller)) === status.PERMISSION_DENIED;
        t.is(refused, !isOpen && ![role, 'admin'].includes(caller), `${caller} ${path}`);
      }
      for (const token of [undefined, 'wrong']) {
        const refused = (await statusOf(client, path, token)) === status.UNAUTHENTICATED;
        t.is(refused, !isOpen, path);
      }
    }
  });
}

test('a method without a row in the table is for nobody', async (t) => {
  const { getTrainingJob } = trainerWire.TrainerServiceService;
  const path = '/diffusion.trainer.v1.TrainerService/Forgotten';
  const service = { forgotten: { ...getTrainingJob, path } };
  const address = await serve(t, ['diffusion.trainer.v1.TrainerService', service], answering(service));
  const client = new Client(address, credentials.createInsecure());
  for (const caller of ROLES) t.is(await statusOf(client, path, caller), status.PERMISSION_DENIED);
  client.close();
});

/** A client whose calls have a token. */
async function clientOf(t: ExecutionContext, address: string, token: string) {
  const tokenFile = join(await temporaryFolder(t), 'token');
  await writeFile(tokenFile, `${token}\n`);
  const client = connectTrainer(address, { security: { tokenFile } });
  t.teardown(() => {
    client.close();
  });
  return {
    tokenFile,
    get: (signal?: AbortSignal) =>
      callUnary(client, client.getTrainingJob, { jobId: '' }, signal === undefined ? {} : { signal }),
    watch: () => callStream(client, client.watchTrainingJob, { jobId: '', after: '' }),
  };
}

const TRAINER = ['diffusion.trainer.v1.TrainerService', trainerWire.TrainerServiceService] as const;

test('a handler is told the identity, and never the token', async (t) => {
  const seen: unknown[] = [];
  const headers: unknown[] = [];
  const inner = unary((_request, { caller, identity }) => {
    seen.push({ caller, identity });
    return {};
  }, options);
  const address = await serve(t, TRAINER, {
    ...answering(trainerWire.TrainerServiceService),
    getTrainingJob: (call: Parameters<typeof inner>[0], callback: Parameters<typeof inner>[1]) => {
      headers.push(...call.metadata.get('authorization'));
      inner(call, callback);
    },
  });
  const client = await clientOf(t, address, 'read');
  await client.get();
  t.deepEqual(seen, [{ caller: 'read', identity: { name: 'read', roles: ['read'], tenant: 'read' } }]);
  t.deepEqual(headers, []);
  // The client's file is read for each call.
  await writeFile(client.tokenFile, 'admin');
  await client.get();
  t.like(seen[1], { caller: 'admin' });
});

test('each identity has its own limits; what has ended counts no longer [fault 97]', async (t) => {
  const address = await serve(
    t,
    TRAINER,
    {
      ...answering(trainerWire.TrainerServiceService),
      watchTrainingJob: serverStream(async function* (_request: unknown, { signal }) {
        yield { position: '1', event: undefined };
        await new Promise((_resolve, reject) => {
          signal.addEventListener('abort', reject);
        });
      }, options),
    },
    { IP_DIFFUSION_OPEN_CALLS: '2' },
  );
  const [reader, admin] = [await clientOf(t, address, 'read'), await clientOf(t, address, 'admin')];
  const open = [reader.watch(), reader.watch()];
  for (const watch of open) await watch.next();
  const error = await t.throwsAsync(reader.get(), { instanceOf: DiffusionError });
  t.is(error.reason, 'CALLS_LIMITED');
  t.true((error.retryAfterMs ?? 0) > 0);
  await admin.get();
  await open[0]?.return(undefined);
  for (;;) {
    // Until the server has seen the end of the watch.
    const answer = await reader.get().catch((thrown: unknown) => fromServiceError(thrown));
    if (!(answer instanceof DiffusionError)) break;
    t.is(answer.reason, 'CALLS_LIMITED');
  }
  for (let call = 0; call < 5; call++) await reader.get();
  await open[1]?.return(undefined);
});

test('a call that is cancelled while its token is being verified holds no place', async (t) => {
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'one' };
  const [asked, answer] = [deferred(), deferred()];
  const provider = createServer((_request, response) => {
    asked.resolve();
    void answer.promise.then(() => response.end(JSON.stringify({ keys: [jwk] })));
  }).listen(0, '127.0.0.1');
  await once(provider, 'listening');
  t.teardown(() => provider.close());
  const issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  const address = await serve(t, TRAINER, answering(trainerWire.TrainerServiceService), {
    IP_DIFFUSION_OIDC_ISSUER: issuer,
    IP_DIFFUSION_OIDC_AUDIENCE: 'diffusion',
    IP_DIFFUSION_OIDC_JWKS_URL: `${issuer}/keys`,
    IP_DIFFUSION_OPEN_CALLS: '1',
  });
  const claims = { iss: issuer, aud: 'diffusion', sub: 'carol', roles: ['read'] };
  const jwt = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: 'one' })
    .setExpirationTime('1m')
    .sign(privateKey);
  const client = await clientOf(t, address, jwt);
  const cancelled = new AbortController();
  const first = client.get(cancelled.signal);
  await asked.promise;
  cancelled.abort();
  await t.throwsAsync(first);
  answer.resolve();
  // Until the server has seen the end of the call.
  let left: unknown = 'not asked';
  for (let tries = 0; left !== undefined && tries < 200; tries++) {
    left = await client.get().then(
      () => undefined,
      (error: unknown) => error,
    );
    await setTimeout(20);
  }
  t.is(left, undefined);
});

test('the size of a request is no way around authentication', async (t) => {
  const address = await serve(t, TRAINER, answering(trainerWire.TrainerServiceService));
  const client = connectTrainer(address);
  const large = callUnary(client, client.getTrainingJob, { jobId: 'x'.repeat(3 * 1024 * 1024) });
  await t.throwsAsync(large, { code: 'UNAUTHENTICATED' });
  client.close();
});

test('tokens that are tried one after another are refused, even a good one, until the address has waited [fault A34]', async (t) => {
  const address = await serve(t, TRAINER, answering(trainerWire.TrainerServiceService), {
    IP_DIFFUSION_FAILED_CALLS_PER_MINUTE: '3',
  });
  const [guesser, reader] = [await clientOf(t, address, 'guess'), await clientOf(t, address, 'read')];
  await reader.get();
  for (let guess = 0; guess < 3; guess++) await t.throwsAsync(guesser.get(), { code: 'UNAUTHENTICATED' });
  for (const client of [guesser, reader]) {
    const error = await t.throwsAsync(client.get(), { instanceOf: DiffusionError });
    t.is(error.reason, 'CALLS_LIMITED');
    t.true((error.retryAfterMs ?? 0) > 0);
  }
});

/** Each watch goes on until its call ends, and says why it did. */
function watching(ended: unknown[]): UntypedServiceImplementation {
  return {
    ...answering(trainerWire.TrainerServiceService),
    watchTrainingJob: serverStream(async function* (_request: unknown, { signal }) {
      yield { position: '1', event: undefined };
      await whenAborted(signal);
      ended.push(signal.reason);
    }, options),
  };
}

test('a call under way ends when its token is taken out of the file, or loses the role; others go on [fault A35]', async (t) => {
  const path = join(await temporaryFolder(t), 'identities.json');
  const identity = (name: string, roles: readonly string[] = ['read']) => ({
    ...{ name, roles },
    tokenSha256: [createHash('sha256').update(name).digest('hex')],
  });
  const save = (...list: readonly object[]) => writeFile(path, JSON.stringify({ identities: list }));
  await save(identity('alice'), identity('bob'), identity('carol'));
  const ended: unknown[] = [];
  const address = await serve(t, TRAINER, watching(ended), { IP_DIFFUSION_IDENTITIES_FILE: path });
  const watches = await Promise.all(
    ['alice', 'bob', 'carol'].map(async (name) => (await clientOf(t, address, name)).watch()),
  );
  for (const watch of watches) await watch.next();
  await save(identity('alice'), identity('bob', ['sample']));
  const [, bob, carol] = watches.map((watch) => () => watch.next());
  const removed = await t.throwsAsync(carol?.() ?? Promise.resolve(), { instanceOf: DiffusionError });
  t.is(removed.code, 'UNAUTHENTICATED');
  const demoted = await t.throwsAsync(bob?.() ?? Promise.resolve(), { instanceOf: DiffusionError });
  t.is(demoted.reason, 'ROLE_MISSING');
  t.deepEqual(ended.map((error) => (error as DiffusionError).code).sort(), [
    'PERMISSION_DENIED',
    'UNAUTHENTICATED',
  ]);
  await watches[0]?.return(undefined);
});
