/** Which calls have spans, and what these say of how the calls ended. */

import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Client, credentials, Metadata } from '@grpc/grpc-js';
import test from 'ava';

import { trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { endCallSpan, SERVICE_NAMES, startGrpcServer, unary } from '../../shared/rpc/index.js';
import { temporaryFolder } from '../dataset/folders.js';
import { memoryTracer } from '../tracing/memory-tracer.js';
import { securityOf, SILENT } from './security.js';

const NAME = SERVICE_NAMES.trainer;

test('each call of a method has a span with its code and reason, a refused one too, and health has none', async (t) => {
  const path = join(await temporaryFolder(t), 'identities.json');
  const tokenSha256 = [createHash('sha256').update('planted-token').digest('hex')];
  const identity = { name: 'alice', roles: ['read', 'train'], tokenSha256 };
  await writeFile(path, JSON.stringify({ identities: [identity] }));
  const { tracer, sent } = memoryTracer();
  const options = { report: () => undefined, stallTimeoutMs: 60_000, onCall: endCallSpan };
  const { getTrainingJob, deleteModel, deleteTrainingJob } = trainerWire.TrainerServiceService;
  const { port, stop } = await startGrpcServer({
    ...options,
    ...{ address: '127.0.0.1:0', log: SILENT, reflection: true, serviceName: NAME, tracer },
    service: { getTrainingJob, deleteModel, deleteTrainingJob },
    implementation: {
      getTrainingJob: unary(() => ({ job: undefined }), options),
      deleteModel: unary(() => {
        throw new DiffusionError('JOB_NOT_FOUND', 'planted-text');
      }, options),
      deleteTrainingJob: unary(() => {
        throw new Error('planted-text');
      }, options),
    },
    security: securityOf({ IP_DIFFUSION_IDENTITIES_FILE: path }),
  });
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const call = (method: string, token: string): Promise<void> => {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${token}`);
    const same = (bytes: Buffer): Buffer => bytes;
    return new Promise((resolve) => {
      client.makeUnaryRequest(method, same, same, Buffer.alloc(0), metadata, () => {
        resolve();
      });
    });
  };
  await call('/grpc.health.v1.Health/Check', 'planted-token');
  await call(`/${NAME}/NoSuchMethod`, 'planted-token');
  await call(`/${NAME}/GetTrainingJob`, 'planted-token');
  await call(`/${NAME}/GetTrainingJob`, 'planted-wrong');
  await call(`/${NAME}/DeleteModel`, 'planted-token');
  await call(`/${NAME}/DeleteTrainingJob`, 'planted-token');
  client.close();
  await stop(() => Promise.resolve(), 0);

  const spans = await sent();
  t.deepEqual(
    spans.map(({ name, attributes, status }) => [
      name.replace(`${NAME}/`, ''),
      attributes['rpc.grpc.status_code'],
      attributes['error.type'],
      status.code,
    ]),
    [
      ['GetTrainingJob', 0, undefined, 0],
      ['GetTrainingJob', 16, 'UNAUTHENTICATED', 0],
      // What a caller did wrong is no error of the service.
      ['DeleteModel', 5, 'JOB_NOT_FOUND', 0],
      ['DeleteTrainingJob', 13, 'INTERNAL', 2],
    ],
  );
  const texts = spans.map(({ name, attributes, events, status }) => ({ name, attributes, events, status }));
  t.notRegex(JSON.stringify(texts), /planted|alice/);
});
