/** The line of each call, its request id, the deadline of a call without one, and calls to a server that stops. */

import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';
import pino from 'pino';

import { trainerWire } from '../../shared/contract/index.js';
import { deferred, DiffusionError } from '../../shared/foundation/index.js';
import { callLog, serverStream, SERVICE_NAMES, startGrpcServer, unary } from '../../shared/rpc/index.js';
import { temporaryFolder } from '../dataset/folders.js';
import { securityOf, SILENT } from './security.js';

const NAME = SERVICE_NAMES.trainer;

interface Ended {
  readonly code: number;
  readonly details: string;
  readonly requestId: unknown;
}

/** A server with a method that answers, one that never does, and one that fails. */
async function open(t: ExecutionContext) {
  const path = join(await temporaryFolder(t), 'identities.json');
  const tokenSha256 = [createHash('sha256').update('token').digest('hex')];
  const identity = { name: 'alice', roles: ['read', 'train'], tokenSha256 };
  await writeFile(path, JSON.stringify({ identities: [identity] }));
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => {
    lines.push(JSON.parse(line) as Record<string, unknown>);
  };
  const options = {
    report: () => undefined,
    stallTimeoutMs: 60_000,
    deadlines: { unaryMs: 20, generateMs: 20 },
    onCall: callLog(pino({ level: 'debug' }, { write })),
  };
  const never = new Promise<never>(() => undefined);
  const { getTrainingJob, deleteModel, deleteTrainingJob, watchTrainingJob } =
    trainerWire.TrainerServiceService;
  const aborted = deferred<unknown>();
  const { port, stop } = await startGrpcServer({
    ...options,
    ...{ address: '127.0.0.1:0', log: SILENT, reflection: false, serviceName: NAME },
    service: { getTrainingJob, deleteModel, deleteTrainingJob, watchTrainingJob },
    implementation: {
      getTrainingJob: unary(() => ({ job: undefined }), options),
      deleteModel: unary((_, { signal }) => {
        signal.addEventListener('abort', () => {
          aborted.resolve(signal.reason);
        });
        return never;
      }, options),
      deleteTrainingJob: unary(() => {
        throw new Error('secret-text');
      }, options),
      watchTrainingJob: serverStream(
        async function* () {
          yield await never;
        },
        options,
        options.deadlines.generateMs,
      ),
    },
    security: securityOf({ IP_DIFFUSION_IDENTITIES_FILE: path }),
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const call = (method: string, token: string, requestId?: string): Promise<Ended> => {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    if (requestId !== undefined) metadata.set('x-request-id', requestId);
    const same = (bytes: Buffer): Buffer => bytes;
    const stream = client.makeServerStreamRequest(
      `/${NAME}/${method}`,
      same,
      same,
      Buffer.alloc(0),
      metadata,
    );
    return new Promise((resolve) => {
      stream.on('data', () => undefined);
      stream.on('error', () => undefined);
      stream.on('status', ({ code, details, metadata: trailers }) => {
        resolve({ code, details, requestId: trailers.get('x-request-id')[0] });
      });
    });
  };
  return {
    call,
    lines,
    stop,
    aborted: aborted.promise,
    close: () => {
      client.close();
    },
  };
}

test('each call that has ended is one line, and no token or text of an error is in it', async (t) => {
  const { call, lines, stop, close } = await open(t);
  t.like(await call('GetTrainingJob', 'token', 'mine-1'), { code: status.OK, requestId: 'mine-1' });
  t.like(await call('GetTrainingJob', 'wrong-token', 'mine-2'), {
    code: status.UNAUTHENTICATED,
    requestId: 'mine-2',
  });
  const made = await call('DeleteTrainingJob', 'token', 'not sane: {}');
  t.is(made.code, status.INTERNAL);
  t.regex(String(made.requestId), /^[0-9a-f-]{36}$/);
  const method = (name: string): string => `/${NAME}/${name}`;
  t.like(lines[0], {
    ...{ level: 30, msg: 'call', method: method('GetTrainingJob'), code: 'OK' },
    ...{ caller: 'alice', requestId: 'mine-1' },
  });
  t.is(typeof lines[0]?.['seconds'], 'number');
  t.like(lines[1], {
    level: 40,
    code: 'UNAUTHENTICATED',
    caller: 'anonymous:127.0.0.1',
    requestId: 'mine-2',
  });
  t.like(lines[2], { level: 50, code: 'INTERNAL', caller: 'alice', requestId: made.requestId });
  t.is(lines.length, 3);
  t.notRegex(JSON.stringify(lines), /wrong-token|secret-text|sane/);
  close();
  await stop(() => Promise.resolve(), 0);
});

test('a call without a deadline gets the service’s [fault 22]', async (t) => {
  const { call, stop, aborted, close } = await open(t);
  const unaryCall = await call('DeleteModel', 'token');
  t.is(unaryCall.code, status.DEADLINE_EXCEEDED);
  t.regex(unaryCall.details, /came without a deadline, and the service ends such calls after 0\.02 s/);
  t.true((await aborted) instanceof DiffusionError);
  t.is((await call('WatchTrainingJob', 'token')).code, status.DEADLINE_EXCEEDED);
  close();
  await stop(() => Promise.resolve(), 0);
});

test('a server that stops refuses new calls at once, and still answers for its health', async (t) => {
  const { call, stop, close } = await open(t);
  await call('GetTrainingJob', 'token');
  const end = deferred();
  const stopped = stop(() => end.promise, 0);
  const refused = await call('GetTrainingJob', 'token');
  t.is(refused.code, status.UNAVAILABLE);
  t.regex(refused.details, /the service is stopping/);
  end.resolve();
  close();
  await stopped;
});
