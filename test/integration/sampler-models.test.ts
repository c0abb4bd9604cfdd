/** Models and checkpoints: listed, shown, loaded before they are needed, and unloaded. */

import anyTest, { type TestFn } from 'ava';

import {
  type checkpointWire,
  samplerWire,
  samplingWire,
  weightsToWire,
} from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { callUnary } from '../../shared/rpc/index.js';
import { enginePids } from '../sampler-service/engine-pids.js';
import { fakeEngine } from '../sampler-service/fake-engine.js';
import {
  generate,
  generated,
  startFixture,
  type SamplerFixture,
} from '../sampler-service/sampler-fixture.js';
import { commitTiny, TINY } from '../sampler-service/tiny-model.js';

const test = anyTest as TestFn<SamplerFixture>;
const settings = {
  ...samplingWire.SamplerSettings.create(),
  timesteps: { $case: 'steps' as const, value: 2 },
};

test.beforeEach(async (t) => {
  const fixture = await startFixture(
    async (store) => {
      for (const step of [1, 2, 3])
        await commitTiny(store, {
          step,
          recipe: { ...TINY, inputPerturbation: { gamma: 0.1 * step } },
          ...(step === 2 && { alter: () => ({ gamma: -1 }) }),
        });
      await commitTiny(store, { step: 1, recipe: { ...TINY, name: 'other' } });
    },
    { engine: fakeEngine(), maxLoadedModels: 4 },
  );
  t.context = fixture;
});

test.afterEach.always((t) => t.context.close());

test.serial("models are listed by their names' beginning", async (t) => {
  const { client } = t.context;
  const names = async (namePrefix: string): Promise<string[]> => {
    const request = samplerWire.ListModelsRequest.create({ namePrefix });
    return (await callUnary(client, client.listModels, request)).models.map(({ name }) => name);
  };
  t.deepEqual(await names(''), ['other', 'tiny']);
  t.deepEqual(await names('ti'), ['tiny']);
  t.deepEqual(await names('x'), []);
});

test.serial('every checkpoint that can be read is listed and shown with its own recipe', async (t) => {
  const { client } = t.context;
  const gammaOf = (of: checkpointWire.CheckpointContract | undefined): number =>
    of?.recipe?.inputPerturbation?.gamma ?? NaN;
  const request = samplerWire.ListCheckpointsRequest.create({ model: 'tiny' });
  const { checkpoints } = await callUnary(client, client.listCheckpoints, request);
  t.deepEqual(
    checkpoints.map(({ step }) => step),
    [3, 1],
  );
  const [newest, oldest] = checkpoints;
  const get = async (checkpointStep?: number) =>
    (await callUnary(client, client.getCheckpoint, { model: 'tiny', checkpointStep })).checkpoint;
  t.deepEqual(await get(), newest);
  t.deepEqual(await get(1), oldest);
  t.true(gammaOf(newest) > 2 * gammaOf(oldest));
  const refusal = async (model: string, checkpointStep?: number): Promise<string> =>
    (
      await t.throwsAsync(callUnary(client, client.getCheckpoint, { model, checkpointStep }), {
        instanceOf: DiffusionError,
      })
    ).reason;
  t.is(await refusal('tiny', 2), 'MANIFEST_INVALID');
  t.is(await refusal('tiny', 7), 'CHECKPOINT_NOT_FOUND');
  t.is(await refusal('none'), 'MODEL_NOT_FOUND');
  t.is(await refusal('../x'), 'INVALID_FIELD');
});

test.serial(
  'weights that are loaded before they are needed are ready, until they are unloaded',
  async (t) => {
    const { client } = t.context;
    const request = samplerWire.LoadModelRequest.create({ model: 'tiny', weights: weightsToWire('raw') });
    const isReady = async (): Promise<boolean> => (await callUnary(client, client.modelReady, request)).ready;
    t.false(await isReady());
    const { loaded } = await callUnary(client, client.loadModel, request);
    t.like(loaded, { model: 'tiny', checkpointStep: 3, weights: weightsToWire('raw'), calls: 0 });
    t.true(await isReady());
    const others = samplerWire.ModelReadyRequest.create({ model: 'tiny' });
    const answer = await callUnary(client, client.modelReady, others);
    t.false(answer.ready, 'the EMA weights are other weights');
    t.is(answer.loaded.length, 1);
    const before = await enginePids();
    const { accepted } = await generated(generate(client, { settings, weights: weightsToWire('raw') }));
    t.is(accepted.checkpoint?.step, 3);
    t.deepEqual(await enginePids(), before, 'no other engine was started');
    const { unloaded } = await callUnary(client, client.unloadModel, { model: 'tiny' });
    t.is(unloaded.length, 1);
    t.false(await isReady());
    t.deepEqual((await callUnary(client, client.unloadModel, { model: 'tiny' })).unloaded, []);
    t.deepEqual((await callUnary(client, client.unloadModel, { model: 'nobody' })).unloaded, []);
  },
);

test.serial('loading is refused as sampling is', async (t) => {
  const { client } = t.context;
  const load = async (fields: Partial<samplerWire.LoadModelRequest>) => {
    const request = { ...samplerWire.LoadModelRequest.create({ model: 'tiny' }), ...fields };
    const { reason, violations } = await t.throwsAsync(callUnary(client, client.loadModel, request), {
      instanceOf: DiffusionError,
    });
    return [reason, ...violations.map(({ field }) => field)];
  };
  t.deepEqual(await load({ model: 'nobody' }), ['MODEL_NOT_FOUND']);
  t.deepEqual(await load({ model: '' }), ['INVALID_FIELD', 'model']);
  t.deepEqual(await load({ checkpointStep: 9 }), ['CHECKPOINT_NOT_FOUND']);
  t.deepEqual(await load({ checkpointStep: 2 }), ['MANIFEST_INVALID']);
  t.deepEqual(await load({ weights: weightsToWire(2) }), ['INVALID_FIELD', 'weights.ema_rate']);
  t.deepEqual(await load({ weights: weightsToWire(0.5) }), ['INVALID_FIELD', 'weights']);
});
