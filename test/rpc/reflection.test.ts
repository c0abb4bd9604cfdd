/** What a server says of itself by reflection. */
import { Client, credentials } from '@grpc/grpc-js';
import test from 'ava';

import { trainerWire } from '../../shared/contract/index.js';
import { startGrpcServer } from '../../shared/rpc/server.js';
import { securityOf, SILENT } from './security.js';

const METHOD = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
/** `list_services: "*"`. */
const LIST_SERVICES = Buffer.from([0x3a, 1, 0x2a]);

test('it lists the services of this server, and no others of the contracts', async (t) => {
  const { port, stop } = await startGrpcServer({
    ...{ address: '127.0.0.1:0', log: SILENT, reflection: true, security: securityOf() },
    ...{ report: () => undefined, stallTimeoutMs: 60_000 },
    serviceName: 'diffusion.trainer.v1.TrainerService',
    service: { getTrainingJob: trainerWire.TrainerServiceService.getTrainingJob },
    implementation: { getTrainingJob: () => undefined },
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const same = (bytes: Buffer): Buffer => bytes;
  const call = client.makeBidiStreamRequest(METHOD, same, same);
  call.write(LIST_SERVICES);
  call.end();
  const answers: Buffer[] = [];
  for await (const answer of call) answers.push(answer as Buffer);
  client.close();
  await stop(() => Promise.resolve(), 0);
  const found = Buffer.concat(answers)
    .toString('latin1')
    .match(/[a-z0-9.]+\.[A-Z]\w+/g);
  t.deepEqual(found?.sort(), ['diffusion.trainer.v1.TrainerService', 'grpc.health.v1.Health']);
});
