/** How many connections a server has, and what becomes of those that are quiet or dead. */

import { once } from 'node:events';
import { connect } from 'node:net';

import test, { type ExecutionContext } from 'ava';

import { trainerWire } from '../../shared/contract/index.js';
import { deferred, whenAborted } from '../../shared/foundation/index.js';
import { CONNECTION_LIMITS, type ConnectionLimits } from '../../shared/rpc/connections.js';
import {
  callStream,
  callUnary,
  connectTrainer,
  serverStream,
  startGrpcServer,
  unary,
} from '../../shared/rpc/index.js';
import { securityOf, SILENT } from './security.js';
import { vanishingPeer } from './vanishing-peer.js';

const options = { report: () => undefined, stallTimeoutMs: 60_000 };

/** A trainer whose watches go on until their calls end. */
async function serve(t: ExecutionContext, limits: Partial<ConnectionLimits>) {
  const ended = deferred<unknown>();
  const { getTrainingJob, watchTrainingJob } = trainerWire.TrainerServiceService;
  const server = await startGrpcServer({
    ...options,
    ...{ address: '127.0.0.1:0', security: securityOf(), log: SILENT, reflection: false },
    connections: { ...CONNECTION_LIMITS, ...limits },
    service: { getTrainingJob, watchTrainingJob },
    serviceName: 'diffusion.trainer.v1.TrainerService',
    implementation: {
      getTrainingJob: unary(() => ({ job: undefined }), options),
      watchTrainingJob: serverStream(async function* (_request: unknown, { signal }) {
        yield { position: '1', event: undefined };
        await whenAborted(signal);
        ended.resolve(signal.reason);
      }, options),
    },
  });
  t.teardown(() => server.stop(() => Promise.resolve(), 0));
  return { port: server.port, ended: ended.promise };
}

function clientOf(t: ExecutionContext, address: string) {
  const client = connectTrainer(address);
  t.teardown(() => {
    client.close();
  });
  return client;
}

const request = { jobId: 'any', after: '' };

test('a connection above the limit is closed, and serves nobody less [fault 17]', async (t) => {
  const { port } = await serve(t, { most: 2 });
  const client = clientOf(t, `127.0.0.1:${port}`);
  await callUnary(client, client.getTrainingJob, { jobId: '' });
  const second = connect(port, '127.0.0.1');
  await once(second, 'connect');
  const third = connect(port, '127.0.0.1').on('error', () => undefined);
  await once(third.resume(), 'close');
  await callUnary(client, client.getTrainingJob, { jobId: '' });
  second.destroy();
  await once(second, 'close');
  t.pass();
});

test('a connection that says nothing is closed, as it answers no ping [fault 17]', async (t) => {
  const { port } = await serve(t, { pingEveryMs: 50, pingTimeoutMs: 200 });
  const silent = connect(port, '127.0.0.1').on('error', () => undefined);
  await once(silent.resume(), 'close');
  t.pass();
});

test('the call of a client whose machine vanished is ended, and its handler is told [fault 110]', async (t) => {
  const { port, ended } = await serve(t, { pingEveryMs: 500, pingTimeoutMs: 5000 });
  const peer = await vanishingPeer(t, `127.0.0.1:${port}`);
  const client = clientOf(t, peer.address);
  const watch = callStream(client, client.watchTrainingJob, request);
  await watch.next();
  peer.vanish();
  t.like(await ended, { code: 'CANCELLED' });
  // The client itself learns nothing: its side of the connection is dead, too.
  void watch.return(undefined);
});
