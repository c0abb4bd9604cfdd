import { once } from 'node:events';

import { Server, ServerCredentials } from '@grpc/grpc-js';
import test from 'ava';

import {
  callStream,
  callUnary,
  connectTrainer,
  serverStream,
  startGrpcServer,
  unary,
} from '../../shared/rpc/index.js';
import { trainerWire } from '../../shared/contract/index.js';
import type { EndedCall } from '../../shared/rpc/call-metrics.js';
import { deferred, DiffusionError } from '../../shared/foundation/index.js';
import { securityOf, SILENT } from './security.js';

type Implementation = Pick<trainerWire.TrainerServiceServer, 'getTrainingJob' | 'watchTrainingJob'>;
type WatchRequest = trainerWire.WatchTrainingJobRequest;
type WatchResponse = trainerWire.WatchTrainingJobResponse;

const reports: { error: unknown; id: string }[] = [];
const options = {
  report: (error: unknown, id: string) => {
    reports.push({ error, id });
  },
  stallTimeoutMs: 60_000,
};
const empty = { job: undefined };
const message: WatchResponse = { position: '', event: undefined };

/** A server whose method does what the job id says, and its client. */
async function serve(implementation: Implementation) {
  const { getTrainingJob, watchTrainingJob } = trainerWire.TrainerServiceService;
  const server = await startGrpcServer({
    ...options,
    ...{ address: '127.0.0.1:0', security: securityOf(), log: SILENT, reflection: false },
    service: { getTrainingJob, watchTrainingJob },
    serviceName: 'diffusion.trainer.v1.TrainerService',
    implementation: { ...implementation },
  });
  const client = connectTrainer(`127.0.0.1:${server.port}`);
  return {
    client,
    close: () => {
      client.close();
      void server.stop(() => Promise.resolve(), 0);
    },
  };
}

function failing(jobId: string): never {
  throw jobId === 'known' ? new DiffusionError('JOB_NOT_FOUND', 'no such job') : new Error('a secret');
}

const { client, close } = await serve({
  getTrainingJob: unary(({ jobId }: trainerWire.GetTrainingJobRequest) => {
    if (jobId === 'fine') return empty;
    if (jobId === 'sync') failing(jobId);
    return Promise.resolve().then(() => failing(jobId));
  }, options),
  watchTrainingJob: serverStream(({ jobId }: WatchRequest) => {
    if (jobId === 'sync') failing(jobId);
    return (async function* () {
      yield message;
      await Promise.resolve();
      failing(jobId);
    })();
  }, options),
});
test.after.always(close);

async function read(jobId: string): Promise<WatchResponse[]> {
  const messages: WatchResponse[] = [];
  for await (const next of callStream(client, client.watchTrainingJob, { jobId, after: '' }))
    messages.push(next);
  return messages;
}

const get = (jobId: string) => callUnary(client, client.getTrainingJob, { jobId });

for (const jobId of ['sync', 'async']) {
  for (const [kind, call] of [
    ['unary', get],
    ['stream', read],
  ] as const) {
    test(`a ${kind} handler that throws (${jobId}) costs one call, and its text stays in the log [fault 19]`, async (t) => {
      const error = await t.throwsAsync(call(jobId), { instanceOf: DiffusionError });
      t.is(error.code, 'INTERNAL');
      t.notRegex(error.message, /secret/);
      const report = reports.find(({ id }) => id === error.metadata['id']);
      t.is((report?.error as Error).message, 'a secret');
      t.deepEqual(await get('fine'), empty);
    });
  }
}

test('an error of ours reaches the client with its code and reason', async (t) => {
  const expected = { instanceOf: DiffusionError, code: 'NOT_FOUND', message: 'no such job' };
  t.is((await t.throwsAsync(get('known'), expected)).reason, 'JOB_NOT_FOUND');
  t.is((await t.throwsAsync(read('known'), expected)).reason, 'JOB_NOT_FOUND');
});

test('a client that goes away ends the stream it was reading, even while that waits [fault 20]', async (t) => {
  const ended = deferred();
  const { client: leaving, close: closeServer } = await serve({
    getTrainingJob: unary(() => empty, options),
    watchTrainingJob: serverStream(async function* (_: WatchRequest, { signal }) {
      try {
        yield message;
        await once(signal, 'abort');
      } finally {
        ended.resolve();
      }
    }, options),
  });
  for await (const next of callStream(leaving, leaving.watchTrainingJob, {
    jobId: 'any',
    after: '',
  })) {
    t.deepEqual(next, message);
    break;
  }
  await ended.promise;
  closeServer();
});

test('the handler learns that a client cancelled the call [fault 20]', async (t) => {
  const controller = new AbortController();
  const reason = deferred<unknown>();
  const { client: leaving, close: closeServer } = await serve({
    getTrainingJob: unary(async (_: trainerWire.GetTrainingJobRequest, { signal }) => {
      controller.abort();
      await once(signal, 'abort');
      reason.resolve(signal.reason);
      return empty;
    }, options),
    watchTrainingJob: serverStream<WatchRequest, WatchResponse>(() => failing('known'), options),
  });
  const call = callUnary(leaving, leaving.getTrainingJob, { jobId: 'any' }, { signal: controller.signal });
  await t.throwsAsync(call, { instanceOf: DiffusionError });
  t.like(await reason.promise, { code: 'CANCELLED' });
  closeServer();
});

test('a method without authentication is told the address of its caller, whatever connection it came by', async (t) => {
  const callers: unknown[] = [];
  const served = await serve({
    getTrainingJob: unary((_request, { caller, identity }) => {
      callers.push({ caller, identity });
      return empty;
    }, options),
    watchTrainingJob: serverStream(async function* (_request: WatchRequest, { caller, identity }) {
      callers.push({ caller, identity });
      yield await Promise.resolve(message);
    }, options),
  });
  t.teardown(served.close);
  await callUnary(served.client, served.client.getTrainingJob, { jobId: '' });
  await callStream(served.client, served.client.watchTrainingJob, { jobId: '', after: '' }).next();
  const caller = { caller: 'anonymous:127.0.0.1', identity: undefined };
  t.deepEqual(callers, [caller, caller]);
});

test('a fault of what observes calls is reported and costs nothing else', async (t) => {
  const fault = new Error('the metric is not known');
  const observing = {
    ...options,
    onCall: () => {
      throw fault;
    },
  };
  const served = await serve({
    getTrainingJob: unary(() => empty, observing),
    watchTrainingJob: serverStream<WatchRequest, WatchResponse>(async function* () {
      yield await Promise.resolve(message);
    }, observing),
  });
  t.teardown(served.close);
  const job = { jobId: '', after: '' };
  t.deepEqual(await callUnary(served.client, served.client.getTrainingJob, job), empty);
  const messages: WatchResponse[] = [];
  for await (const next of callStream(served.client, served.client.watchTrainingJob, job))
    messages.push(next);
  t.deepEqual(messages, [message]);
  t.is(reports.filter(({ error }) => error === fault).length, 2);
});

test('a call that did not come through access control reaches no handler, and is observed like any other', async (t) => {
  const server = new Server();
  const { getTrainingJob, watchTrainingJob } = trainerWire.TrainerServiceService;
  const reached: unknown[] = [];
  const observed: object[] = [];
  const observing = {
    ...options,
    onCall: ({ method, error, caller, isAuthenticated }: EndedCall) => {
      observed.push({ method, failed: error !== undefined, caller, isAuthenticated });
    },
  };
  const get = unary((request) => {
    reached.push(request);
    return empty;
  }, observing);
  const watch = serverStream(async function* (request: WatchRequest) {
    reached.push(request);
    yield await Promise.resolve(message);
  }, observing);
  server.addService({ getTrainingJob, watchTrainingJob }, { getTrainingJob: get, watchTrainingJob: watch });
  const { promise, resolve } = deferred<number>();
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, port) => {
    resolve(port);
  });
  const around = connectTrainer(`127.0.0.1:${await promise}`);
  const job = { jobId: '', after: '' };
  await t.throwsAsync(callUnary(around, around.getTrainingJob, job), { code: 'INTERNAL' });
  await t.throwsAsync(callStream(around, around.watchTrainingJob, job).next(), { code: 'INTERNAL' });
  t.deepEqual(reached, []);
  const failed = { failed: true, caller: 'anonymous:127.0.0.1', isAuthenticated: false };
  t.deepEqual(observed, [
    { method: getTrainingJob.path, ...failed },
    { method: watchTrainingJob.path, ...failed },
  ]);
  around.close();
  server.forceShutdown();
});
