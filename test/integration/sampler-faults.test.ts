import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { Client, credentials } from '@grpc/grpc-js';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';

import { readSettings } from '../../services/sampler/config.js';
import { callUnary } from '../../shared/rpc/index.js';
import { samplerWire, samplingWire, weightsToWire } from '../../shared/contract/index.js';
import { deferred, DiffusionError, type ErrorCode } from '../../shared/foundation/index.js';
import { bindModel } from '../../shared/models/index.js';
import { recipeFormat } from '../../shared/recipe/index.js';
import { enginePids } from '../sampler-service/engine-pids.js';
import {
  generate,
  generated,
  startFixture,
  type Asked,
  type SamplerFixture,
} from '../sampler-service/sampler-fixture.js';
import { commitTiny, TINY } from '../sampler-service/tiny-model.js';

const test = anyTest as TestFn<SamplerFixture>;

const called = (name: string) => ({ ...TINY, name, ema: { rates: [0.9] } });

test.before(async (t) => {
  const fixture = await startFixture(
    async (store) => {
      await commitTiny(store, { step: 100 });
      await commitTiny(store, { step: 100, recipe: called('flipped'), seed: 5n });
      await commitTiny(store, { step: 200, recipe: called('flipped'), seed: 6n });
      await commitTiny(store, { step: 100, recipe: called('bad-manifest'), seed: 5n });
      await commitTiny(store, { step: 200, recipe: called('bad-manifest'), alter: () => ({ gamma: -1 }) });
      await commitTiny(store, {
        step: 100,
        recipe: called('from-the-future'),
        alter: () => ({ formatVersion: recipeFormat.newest + 1 }),
      });
      await commitTiny(store, {
        step: 100,
        recipe: called('other-network'),
        alter: ({ recipe }) => ({
          recipe: { ...recipe, architecture: { ...recipe.architecture, numResBlocks: 2 } },
        }),
      });
      await bindModel(store, 'unborn', 'job-of-unborn');
    },
    {
      maxImages: 100,
      maxLoadedModels: 1,
      // 5,000 evaluations of 8x8 pixels for normal calls, which may have three quarters.
      admission: { ...readSettings({}).admission, cost: (4 / 3) * 5000 * 64, waiting: 1, callerShare: 1 },
    },
  );
  await flipBit(await objectOf(fixture.folder, 'flipped', 200, 'ema_0.9.safetensors'));
  Object.assign(t.context, fixture);
});

test.after.always((t) => t.context.close());

async function objectOf(folder: string, model: string, step: number, name: string): Promise<string> {
  const digits = String(step).padStart(12, '0');
  const files = await readdir(folder, { recursive: true });
  const found = files.find(
    (file) => file.includes(`job-of-${model}/checkpoints/${digits}/`) && file.endsWith(`/${name}`),
  );
  if (found === undefined) throw new Error(`no ${name} among ${files.join(', ')}`);
  return join(folder, found);
}

async function flipBit(file: string): Promise<void> {
  const bytes = await readFile(file);
  const middle = Math.floor(bytes.length / 2);
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
  await writeFile(file, bytes);
}

const steps = (value: number, fields: Partial<samplingWire.SamplerSettings> = {}): Asked => ({
  settings: { ...samplingWire.SamplerSettings.create(), timesteps: { $case: 'steps', value }, ...fields },
});

const respaced = (value: string): Asked => ({
  settings: { ...samplingWire.SamplerSettings.create(), timesteps: { $case: 'respacing', value } },
});

async function failure(t: ExecutionContext<SamplerFixture>, fields: Asked): Promise<DiffusionError> {
  return t.throwsAsync(generated(generate(t.context.client, fields)), { instanceOf: DiffusionError });
}

const refused: readonly [wanted: string, fields: Asked][] = [
  ['model', { model: '../tiny' }],
  ['count', { count: 101 }],
  ['weights', { weights: weightsToWire(0.5) }],
  ['settings.steps', steps(0)],
  ['settings.steps', steps(61)],
  ['settings.steps', steps(2 ** 32 - 1)],
  ['settings.respacing', respaced('')],
  ['settings.respacing', respaced('61')],
  ['settings.respacing', respaced('0')],
  ['settings.respacing', respaced('1.5')],
  ['settings.respacing', respaced('-1')],
  ['settings.respacing', respaced('10,15,21')],
  ['settings.respacing', respaced('ddim50')],
  ['settings.respacing', respaced('ddim')],
  ['settings.eta', steps(2, { eta: 0.5 })],
  ...[Number.NaN, Infinity, -0.1, 1.1].map((eta): [string, Asked] => [
    'settings.eta',
    steps(2, { eta, sampler: samplingWire.Sampler.SAMPLER_DDIM }),
  ]),
  ['classes', { classes: [0] }],
];

for (const [field, fields] of refused) {
  const shown = JSON.stringify(fields, (_key, value: unknown) =>
    typeof value === 'number' ? String(value) : value,
  );
  test.serial(`${shown} is refused, naming ${field} [fault 92, 93, 94]`, async (t) => {
    const error = await failure(t, fields);
    t.is(error.code, 'INVALID_ARGUMENT');
    t.deepEqual(
      error.violations.map((violation) => violation.field),
      [`new_images.${field}`],
    );
    t.regex(error.message, /wanted .*; got /);
  });
}

const failing: readonly [what: string, code: ErrorCode, reason: string, fields: Asked][] = [
  ['an unknown model', 'NOT_FOUND', 'MODEL_NOT_FOUND', { model: 'nobody' }],
  ['an unknown checkpoint', 'NOT_FOUND', 'CHECKPOINT_NOT_FOUND', { checkpointStep: 150 }],
  ['a step beyond all steps', 'NOT_FOUND', 'CHECKPOINT_NOT_FOUND', { checkpointStep: 2 ** 32 - 1 }],
  ['a model without a checkpoint', 'FAILED_PRECONDITION', 'MODEL_NOT_READY', { model: 'unborn' }],
  [
    'more work than the service takes',
    'RESOURCE_EXHAUSTED',
    'TOO_MANY_EVALUATIONS',
    { count: 100, ...steps(51) },
  ],
  [
    'a damaged manifest by its step',
    'DATA_LOSS',
    'MANIFEST_INVALID',
    { model: 'bad-manifest', checkpointStep: 200 },
  ],
  ['a manifest of a newer format', 'FAILED_PRECONDITION', 'MANIFEST_VERSION', { model: 'from-the-future' }],
  ['damaged weights by their step', 'DATA_LOSS', 'OBJECT_DAMAGED', { model: 'flipped', checkpointStep: 200 }],
  ['weights of another network', 'DATA_LOSS', 'TENSORS_MISMATCH', { model: 'other-network' }],
];

for (const [what, code, reason, fields] of failing) {
  test.serial(`${what}: ${code} [fault 91, 82, 93]`, async (t) => {
    const error = await failure(t, fields);
    t.is(error.code, code);
    t.is(error.reason, reason);
  });
}

test.serial('a newer format is refused naming both versions [fault 106]', async (t) => {
  t.regex(
    (await failure(t, { model: 'from-the-future' })).message,
    new RegExp(`at most ${recipeFormat.newest}; got ${recipeFormat.newest + 1}`),
  );
});

test.serial('the newest good checkpoint serves where the newest is damaged [fault 82, 102]', async (t) => {
  const { accepted } = await generated(generate(t.context.client, { model: 'flipped', ...steps(1) }));
  t.is(accepted.checkpoint?.step, 100);
});

test.serial(
  'damaged and newer models stay on the list, and those without a checkpoint are not on it',
  async (t) => {
    const { client } = t.context;
    const { models } = await callUnary(client, client.listModels, samplerWire.ListModelsRequest.create({}));
    const listed = models.map(({ name, latest }) => [name, latest?.step]);
    t.deepEqual(listed, [
      ['bad-manifest', 100],
      ['flipped', 200],
      ['from-the-future', undefined],
      ['other-network', 100],
      ['tiny', 100],
    ]);
  },
);

test.serial(
  'GetModel refuses invalid names, and answers NOT_FOUND for missing models and models without a checkpoint [fault 91]',
  async (t) => {
    const { client } = t.context;
    const codeOf = async (model: string): Promise<string> =>
      (await t.throwsAsync(callUnary(client, client.getModel, { model }), { instanceOf: DiffusionError }))
        .code;
    t.deepEqual(await Promise.all(['A', 'nobody', 'unborn'].map(codeOf)), [
      'INVALID_ARGUMENT',
      'NOT_FOUND',
      'NOT_FOUND',
    ]);
  },
);

test.serial(
  'a second model is refused while the first is in use, and loaded when it is not [fault 104]',
  async (t) => {
    const { client } = t.context;
    const first = generate(client, { ...steps(60), count: 64 });
    await first.next();
    const error = await failure(t, { model: 'flipped', ...steps(1) });
    t.is(error.code, 'RESOURCE_EXHAUSTED');
    t.is(error.reason, 'MODELS_PINNED');
    t.truthy(error.retryAfterMs);
    await first.return(undefined);
  },
);

/** A call that needs more than one like it leaves, whose reader has taken nothing. */
const SECOND = { ...steps(60), count: 80 };

test.serial(
  'a call above the limit is told its place in the queue until it begins, and one too many is refused with a delay [fault 97]',
  async (t) => {
    const { client } = t.context;
    const first = generate(client, { ...steps(60), count: 80 });
    await first.next();
    const second = generate(client, SECOND);
    const queued = await second.next();
    t.like(queued.value, { event: { $case: 'queued', value: { position: 1 } } });
    const error = await failure(t, SECOND);
    t.is(error.reason, 'BUSY');
    t.is(error.code, 'RESOURCE_EXHAUSTED');
    t.truthy(error.retryAfterMs);
    await first.return(undefined);
    let last: string | undefined;
    for await (const { event } of second) last = event?.$case;
    t.is(last, 'completed');
  },
);

test.serial(
  'a call that waits for its place ends at its deadline, and is not run afterwards [fault 21]',
  async (t) => {
    const { client } = t.context;
    const first = generate(client, { ...steps(60), count: 80 });
    await first.next();
    const late = generated(generate(client, SECOND, { timeoutMs: 200 }));
    t.is((await t.throwsAsync(late, { instanceOf: DiffusionError })).code, 'DEADLINE_EXCEEDED');
    const next = generate(client, SECOND);
    t.like((await next.next()).value, { event: { $case: 'queued', value: { position: 1 } } });
    await next.return(undefined);
    await first.return(undefined);
  },
);

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip;

onLinux('killing the engine during a generation costs no image, and changes none [fault 105]', async (t) => {
  const { client } = t.context;
  const request = { count: 2, ...steps(30) };
  const undisturbed = await generated(generate(client, request));
  const disturbed = generate(client, request);
  const { value: accepted } = (await disturbed.next()) as IteratorYieldResult<samplerWire.GenerateResponse>;
  await disturbed.next();
  const killed = await enginePids();
  for (const pid of killed) process.kill(pid, 'SIGKILL');
  const { images } = await generated(
    (async function* () {
      yield accepted;
      yield* disturbed;
    })(),
  );
  t.deepEqual(images, undisturbed.images);
  t.is(killed.length, 1);
  t.notDeepEqual(await enginePids(), killed);
});

async function health(port: number): Promise<number> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure());
  const { promise, resolve, reject } = deferred<Buffer>();
  client.makeUnaryRequest(
    '/grpc.health.v1.Health/Check',
    (bytes: Buffer) => bytes,
    (bytes) => bytes,
    Buffer.alloc(0),
    (error, answer) => {
      if (error !== null || answer === undefined) reject(error);
      else resolve(answer);
    },
  );
  const answer = await promise;
  client.close();
  // HealthCheckResponse.status is field 1, a varint.
  return answer.readUInt8(1);
}

test.serial('a service that has listed its store says SERVING [fault 116]', async (t) => {
  t.is(await health(t.context.service.port), 1);
});

onLinux(
  'a service that stops ends its calls with UNAVAILABLE, and ends all engines [fault 23]',
  async (t) => {
    const others = await enginePids();
    const fixture = await startFixture((store) => commitTiny(store, { step: 1 }), { drainMs: 0 });
    const stream = generate(fixture.client, { count: 64, ...steps(60) });
    await stream.next();
    t.is((await enginePids()).length, others.length + 1);
    const outcome = t.throwsAsync(
      async () => {
        for (;;) if ((await stream.next()).done === true) return;
      },
      { instanceOf: DiffusionError },
    );
    await fixture.service.stop();
    const error = await outcome;
    t.is(error.code, 'UNAVAILABLE');
    t.is(error.reason, 'SERVICE_STOPPING');
    t.deepEqual(await enginePids(), others);
    await fixture.close();
  },
);
