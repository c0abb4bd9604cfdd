/** Two thousand watchers of one job, on real sockets. */

import test from 'ava';

import { EventLog, START } from '../../services/trainer/event-log.js';
import { trainerWire } from '../../shared/contract/index.js';
import { callStream, connectTrainer, serverStream, startGrpcServer } from '../../shared/rpc/index.js';
import { securityOf, SILENT } from './security.js';

const WATCHERS = 2000;
const CONNECTIONS = 20;
const options = { report: () => undefined, stallTimeoutMs: 60_000 };

test('two thousand watchers of a job get each event once, in order, and its end [fault 107]', async (t) => {
  const log = new EventLog();
  log.append(1, { kind: 'state', state: 'RUNNING', message: '' });
  const { watchTrainingJob } = trainerWire.TrainerServiceService;
  const server = await startGrpcServer({
    ...options,
    ...{ address: '127.0.0.1:0', security: securityOf(), log: SILENT, reflection: false },
    service: { watchTrainingJob },
    serviceName: 'diffusion.trainer.v1.TrainerService',
    implementation: {
      watchTrainingJob: serverStream(async function* (_request: unknown, { signal }) {
        for await (const { position } of log.follow(START, signal))
          yield { position: `${position.term}.${position.number}`, event: undefined };
        yield { position: 'end', event: undefined };
      }, options),
    },
  });
  t.teardown(() => server.stop(() => Promise.resolve(), 0));
  // Clients of one process share a connection unless their settings differ.
  const clients = Array.from({ length: CONNECTIONS }, (_, n) =>
    connectTrainer(`127.0.0.1:${server.port}`, { channel: { 'grpc.primary_user_agent': `watcher-${n}` } }),
  );
  const watches = Array.from({ length: WATCHERS }, (_, n) => {
    const client = clients[n % CONNECTIONS] ?? t.fail('no client');
    return callStream(client, client.watchTrainingJob, { jobId: 'one', after: '' });
  });
  const first = await Promise.all(watches.map((watch) => watch.next()));
  for (let step = 1; step <= 3; step++) log.append(1, { kind: 'checkpoint', step, sizeBytes: 1 });
  log.append(1, { kind: 'state', state: 'SUCCEEDED', message: '' });
  const seen = await Promise.all(
    watches.map(async (watch, n) => {
      const positions = [(first[n]?.value as trainerWire.WatchTrainingJobResponse).position];
      for await (const { position } of watch) positions.push(position);
      return positions.join(' ');
    }),
  );
  t.deepEqual([...new Set(seen)], ['1.1 1.2 1.3 1.4 end']);
  t.is(seen.length, WATCHERS);
  for (const client of clients) client.close();
});
