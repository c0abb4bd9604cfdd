/** What one tenant owns, another one finds nowhere: every method of all services. */

import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import test, { type ExecutionContext } from 'ava';

import { trainerHandlers } from '../../services/trainer/handlers.js';
import { tenants } from '../../services/trainer/tenants.js';
import {
  measurementToWire,
  measureWire as measured,
  recipeToWire,
  samplerWire as sampler,
  trainerWire as trained,
  weightsToWire,
  serverInfoWire,
} from '../../shared/contract/index.js';
import { deferred, DiffusionError } from '../../shared/foundation/index.js';
import { commitCheckpoint } from '../../shared/models/index.js';
import { fromServiceError, startGrpcServer, type ServerSecurity } from '../../shared/rpc/index.js';
import { pngOf, temporaryFolder } from '../dataset/folders.js';
import { methodsOf } from '../faults/field-paths.js';
import { checkpoint } from '../models/commit-fixtures.js';
import { securityOf, SILENT } from '../rpc/security.js';
import { readSettings } from '../../services/sampler/config.js';
import { asked, imagesFile } from '../sampler-service/measurements.js';
import { startFixture } from '../sampler-service/sampler-fixture.js';
import { commitTiny, TINY } from '../sampler-service/tiny-model.js';
import { engines, finished, localSources, plays, ready } from '../trainer/fake-engine.js';
import { end, openStore, removeAll, trainer } from '../trainer/trainers.js';

test.after.always(removeAll);

const options = { report: () => undefined, stallTimeoutMs: 60_000 };
const TRAINER = 'diffusion.trainer.v1.TrainerService';
const SAMPLER = 'diffusion.sampler.v1.SamplerService';
const MEASURE = 'diffusion.measure.v1.MeasureService';

/** Two tenants, and an admin of a third one; the token of each is its name. */
async function security(t: ExecutionContext): Promise<ServerSecurity> {
  const identities = [
    { name: 'alice', roles: ['read', 'sample', 'train'], tenant: 'red' },
    { name: 'bob', roles: ['read', 'sample', 'train'], tenant: 'blue' },
    { name: 'root', roles: ['admin'] },
  ].map((each) => ({ ...each, tokenSha256: [createHash('sha256').update(each.name).digest('hex')] }));
  const path = join(await temporaryFolder(t), 'identities.json');
  await writeFile(path, JSON.stringify({ identities }));
  return securityOf({ IP_DIFFUSION_IDENTITIES_FILE: path });
}

type Ask = (caller: string, method: string, request: Uint8Array) => Promise<Buffer | DiffusionError>;

/** Calls any method of a service; the answer is its messages one after the other, or the error. */
function askerAt(t: ExecutionContext, address: string, service: string): Ask {
  const client = new Client(address, credentials.createInsecure());
  t.teardown(() => {
    client.close();
  });
  const same = (bytes: Buffer): Buffer => bytes;
  return async (caller, method, request) => {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${caller}`);
    const path = `/${service}/${method}`;
    const call = client.makeServerStreamRequest(path, same, same, Buffer.from(request), metadata, {
      deadline: Date.now() + 30_000,
    });
    const { promise, resolve } = deferred<Buffer | DiffusionError>();
    const messages: Buffer[] = [];
    call.on('data', (message: Buffer) => messages.push(message));
    call.on('end', () => {
      resolve(Buffer.concat(messages));
    });
    call.on('error', (error: ServiceError) => {
      resolve(fromServiceError(error));
    });
    return promise;
  };
}

/** By method: its request for a job and a model. */
type Requests = Readonly<Record<string, (job: string, model: string) => Uint8Array>>;

/** Methods that answer for what isn't there as well. */
const NO_ERROR = ['ListTrainingJobs', 'ListModels', 'UnloadModel', 'ListMeasurements'];

/** Methods that say nothing of jobs and models. */
const OF_THE_SERVER = ['GetServerInfo'];

/** Asserts that a stranger gets the answer for what isn't there, word for word, and that others get another one. */
async function walk(
  t: ExecutionContext,
  { ask, service, requests }: { ask: Ask; service: string; requests: Requests },
  { job, model, harmless }: { job: string; model: string; harmless: (method: string) => boolean },
): Promise<void> {
  for (const { name } of methodsOf(service)) {
    if (OF_THE_SERVER.includes(name)) continue;
    const request = requests[name];
    if (request === undefined) throw new Error(`${name} has no row in this test`);
    const answered = async (caller: string, ofJob: string, ofModel: string): Promise<string> => {
      const answer = await ask(caller, name, request(ofJob, ofModel));
      const text =
        answer instanceof DiffusionError ? `${answer.reason} ${answer.message}` : answer.toString('latin1');
      return text.replaceAll(ofJob, 'the job').replaceAll(ofModel, 'the model');
    };
    const stranger = await answered('bob', job, model);
    t.is(stranger, await answered('bob', 'no-job', 'no-model'), name);
    t.is(/NOT_FOUND/.test(stranger), !NO_ERROR.includes(name), name);
    if (!harmless(name)) continue;
    for (const caller of ['alice', 'root'])
      t.not(await answered(caller, job, model), stranger, `${caller} ${name}`);
  }
}

test('the trainer hides the jobs and models of other tenants, in every method [fault 32]', async (t) => {
  const store = await openStore();
  const a = trainer(store, engines(plays(ready, finished)).startEngine);
  const server = await startGrpcServer({
    ...options,
    ...{ address: '127.0.0.1:0', log: SILENT, reflection: false, security: await security(t) },
    ...{ service: trained.TrainerServiceService, serviceName: TRAINER },
    implementation: trainerHandlers({
      ...options,
      ...{ requests: a.requests, deletions: a.deletion, sources: localSources },
      tenants: tenants(store, a.supervisor),
      checkServing: () => undefined,
      info: () => serverInfoWire.ServerInfo.create(),
    }),
  });
  t.teardown(() => server.stop(() => Promise.resolve(), 0));
  const ask = askerAt(t, `127.0.0.1:${server.port}`, TRAINER);

  const { CreateTrainingJobRequest: Create, ListTrainingJobsRequest: List } = trained;
  const bytes = (request: Partial<trained.CreateTrainingJobRequest>) =>
    Create.encode(Create.fromPartial(request)).finish();
  const create = async (caller: string, name: string, requestId = ''): Promise<string> => {
    const answer = await ask(
      caller,
      'CreateTrainingJob',
      bytes({ recipe: recipeToWire({ name }), requestId }),
    );
    if (answer instanceof DiffusionError) throw answer;
    return trained.CreateTrainingJobResponse.decode(answer).job?.jobId ?? '';
  };
  const byId = (jobId: string): Uint8Array => trained.GetTrainingJobRequest.encode({ jobId }).finish();
  const job = await create('alice', 'reds', 'the same id');
  // The same request_id of another tenant is another request.
  const other = await create('bob', 'blues', 'the same id');
  t.is(await create('alice', 'reds', 'the same id'), job);
  const owners = await Promise.all(
    [job, other].map(async (jobId) => {
      const answer = await ask('root', 'GetTrainingJob', byId(jobId));
      return answer instanceof DiffusionError
        ? answer.reason
        : trained.GetTrainingJobResponse.decode(answer).job?.owner;
    }),
  );
  t.deepEqual(owners, ['red', 'blue']);
  for (const jobId of [job, other]) {
    await end(a, await a.requests.get(jobId));
    await a.supervisor.find(jobId)?.save();
  }
  for (const step of [2, 4]) await commitCheckpoint(store, { ...checkpoint(step, 1), job, model: 'reds' });
  const taken = await t.throwsAsync(create('bob', 'reds'), { instanceOf: DiffusionError });
  t.is(taken.reason, 'MODEL_TAKEN');
  t.false(taken.message.includes(job));

  const resume = trained.ResumeTrainingJobRequest;
  const requests: Requests = {
    CreateTrainingJob: (_job, model) =>
      bytes({ recipe: recipeToWire({ warmStart: { model } }), validateOnly: true }),
    GetTrainingJob: byId,
    ListTrainingJobs: (_job, modelPrefix) => List.encode(List.fromPartial({ modelPrefix })).finish(),
    WatchTrainingJob: byId,
    CancelTrainingJob: byId,
    // Refused for its owner: a resumed job keeps its network.
    ResumeTrainingJob: (jobId) =>
      resume.encode(resume.fromPartial({ jobId, recipe: { dataset: { imageSize: 64 } } })).finish(),
    DeleteTrainingJob: byId,
    DeleteModel: (_job, model) => trained.DeleteModelRequest.encode({ model }).finish(),
    DeleteCheckpoint: (_job, model) =>
      trained.DeleteCheckpointRequest.encode({ model, checkpointStep: 2 }).finish(),
  };
  const harmless = (method: string): boolean => !method.startsWith('Delete');
  await walk(t, { ask, service: TRAINER, requests }, { job, model: 'reds', harmless });

  const listed = async (caller: string): Promise<string[]> => {
    const pages: string[] = [];
    for (let pageToken = '', more = true; more; more = pageToken !== '') {
      const answer = await ask(
        caller,
        'ListTrainingJobs',
        List.encode(List.fromPartial({ pageSize: 1, pageToken })).finish(),
      );
      if (answer instanceof DiffusionError) throw answer;
      const { jobs, nextPageToken } = trained.ListTrainingJobsResponse.decode(answer);
      pages.push(...jobs.map(({ model }) => model));
      t.false(caller === 'bob' && Buffer.from(nextPageToken, 'base64url').toString().includes(job));
      pageToken = nextPageToken;
    }
    return pages.sort();
  };
  t.deepEqual(await listed('alice'), ['reds']);
  t.deepEqual(await listed('bob'), ['blues']);
  t.deepEqual(await listed('root'), ['blues', 'reds']);
  // As a trainer finds it that was started again, without the job in memory.
  const [deleteCheckpoint, deleteModel] = [requests['DeleteCheckpoint'], requests['DeleteModel']];
  t.false(
    (await ask('alice', 'DeleteCheckpoint', deleteCheckpoint?.(job, 'reds') ?? byId(''))) instanceof
      DiffusionError,
  );
  t.false(
    (await ask('root', 'DeleteModel', deleteModel?.(job, 'reds') ?? byId(''))) instanceof DiffusionError,
  );
  t.true((await ask('alice', 'GetTrainingJob', byId(job))) instanceof DiffusionError);
});

test('a job is hidden too where it is read from the store, damaged or not', async (t) => {
  const store = await openStore();
  const a = trainer(store, engines(plays(ready, finished)).startEngine);
  const red = { owner: 'red', sees: (owner: string | undefined) => owner === 'red', seesAll: false };
  const blue = { owner: 'blue', sees: (owner: string | undefined) => owner === 'blue', seesAll: false };
  const job = await a.requests.create({ name: 'reds' }, '', red);
  const { jobId } = job.record;
  await end(a, job);
  await a.supervisor.find(jobId)?.save();
  const b = tenants(store, trainer(store, engines(plays(ready, finished)).startEngine).supervisor);
  await t.notThrowsAsync(b.requireJob(jobId, red));
  const stranger = await t.throwsAsync(b.requireJob(jobId, blue), { instanceOf: DiffusionError });
  const unknown = await t.throwsAsync(b.requireJob('nothing', blue), { instanceOf: DiffusionError });
  t.deepEqual([stranger.reason, stranger.message], [unknown.reason, unknown.message]);
  await store.put(`jobs/${jobId}/job.json`, Buffer.from('{"jobId"'));
  await t.throwsAsync(b.requireJob(jobId, blue), { message: unknown.message });
});

test('the sampler hides the models of other tenants, in every method [fault 32]', async (t) => {
  const { service, close } = await startFixture(
    async (store) => {
      await commitTiny(store, { step: 5, owner: 'red' });
      await commitTiny(store, { step: 5, recipe: { ...TINY, name: 'zzz' } });
    },
    { security: await security(t) },
  );
  t.teardown(close);
  const ask = askerAt(t, `127.0.0.1:${service.port}`, SAMPLER);
  // Weights that no checkpoint has: the owner's calls are refused for these, after the model was found.
  const weights = weightsToWire(0.5);
  const picture = await pngOf(1);
  const byName = (_job: string, model: string): Uint8Array =>
    sampler.GetModelRequest.encode({ model }).finish();
  const { LoadModelRequest: Load, GenerateRequest: Generate, EncodeRequest: Encode } = sampler;
  const requests: Requests = {
    ListModels: (_job, namePrefix) =>
      sampler.ListModelsRequest.encode({ namePrefix, pageSize: 0, pageToken: '' }).finish(),
    GetModel: byName,
    ListCheckpoints: byName,
    GetCheckpoint: byName,
    LoadModel: (_job, model) => Load.encode(Load.fromPartial({ model, weights })).finish(),
    UnloadModel: byName,
    ModelReady: (_job, model) => Load.encode(Load.fromPartial({ model, weights })).finish(),
    Generate: (_job, model) =>
      Generate.encode(
        Generate.fromPartial({ images: { $case: 'newImages', value: { model, count: 1, weights } } }),
      ).finish(),
    Encode: (_job, model) =>
      Encode.encode(Encode.fromPartial({ model, images: [picture], weights })).finish(),
  };
  const harmless = (method: string): boolean => method !== 'UnloadModel';
  await walk(t, { ask, service: SAMPLER, requests }, { job: 'job-of-tiny', model: 'tiny', harmless });
  const listed = async (caller: string): Promise<string[]> => {
    const all = await ask(
      caller,
      'ListModels',
      sampler.ListModelsRequest.encode(sampler.ListModelsRequest.create()).finish(),
    );
    if (all instanceof DiffusionError) throw all;
    return sampler.ListModelsResponse.decode(all).models.map(({ name }) => name);
  };
  t.deepEqual(await listed('alice'), ['tiny', 'zzz']);
  t.deepEqual(await listed('bob'), ['zzz']);
  t.deepEqual(await listed('root'), ['tiny', 'zzz']);
});

test('the sampler hides the measurements of other tenants, in every method', async (t) => {
  const settings = readSettings({ ...process.env });
  const { service, close } = await startFixture(
    async (store) => {
      await commitTiny(store, { step: 5, owner: 'red' });
    },
    // None is run: those that wait show whose they are.
    { security: await security(t), measurements: { ...settings.measurements, atOnce: 0, maxWaiting: 2 } },
  );
  t.teardown(close);
  const ask = askerAt(t, `127.0.0.1:${service.port}`, MEASURE);
  const data = await imagesFile();
  const create = (model: string, requestId = ''): Uint8Array =>
    measured.CreateMeasurementRequest.encode({
      spec: measurementToWire(asked({ model, data })),
      requestId,
    }).finish();
  const created = await ask('alice', 'CreateMeasurement', create('tiny', 'the same id'));
  if (created instanceof DiffusionError) throw created;
  const { measurement } = measured.CreateMeasurementResponse.decode(created);
  t.is(measurement?.owner, 'red');
  const byId = (measurementId: string): Uint8Array =>
    measured.GetMeasurementRequest.encode({ measurementId }).finish();
  const requests: Requests = {
    CreateMeasurement: (_id, model) => create(model),
    GetMeasurement: byId,
    ListMeasurements: (_id, modelPrefix) =>
      measured.ListMeasurementsRequest.encode(
        measured.ListMeasurementsRequest.fromPartial({ modelPrefix }),
      ).finish(),
    WatchMeasurement: byId,
    GetMeasurementResult: byId,
    CancelMeasurement: byId,
    DeleteMeasurement: byId,
  };
  // A watch goes on, and a creation makes another one.
  const harmless = (method: string): boolean => !/^(?:Watch|Create|Cancel)/.test(method);
  const job = measurement?.measurementId ?? '';
  await walk(t, { ask, service: MEASURE, requests }, { job, model: 'tiny', harmless });
  // The same request_id of another tenant is another request: it is refused for the model that it doesn't see.
  const other = await ask('bob', 'CreateMeasurement', create('tiny', 'the same id'));
  t.is(other instanceof DiffusionError && other.reason, 'MODEL_NOT_FOUND');
  t.false((await ask('alice', 'CreateMeasurement', create('tiny'))) instanceof DiffusionError);
  const full = await ask('alice', 'CreateMeasurement', create('tiny'));
  t.is(full instanceof DiffusionError && full.reason, 'QUEUE_FULL');
  t.false((await ask('alice', 'CancelMeasurement', byId(job))) instanceof DiffusionError);
  t.false((await ask('alice', 'DeleteMeasurement', byId(job))) instanceof DiffusionError);
});
