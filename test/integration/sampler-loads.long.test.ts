/** Which engine processes a service has, with scripted engines. */

import { setTimeout } from 'node:timers/promises';

import test, { type ExecutionContext } from 'ava';

import type { SamplerServiceSettings } from '../../services/sampler/config.js';
import { samplingWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { enginePids } from '../sampler-service/engine-pids.js';
import { BEHAVIOURS, fakeEngine } from '../sampler-service/fake-engine.js';
import {
  generate,
  generated,
  startFixture,
  type Asked,
  type SamplerFixture,
} from '../sampler-service/sampler-fixture.js';
import { commitTiny, TINY } from '../sampler-service/tiny-model.js';

const settings = {
  ...samplingWire.SamplerSettings.create(),
  timesteps: { $case: 'steps' as const, value: 2 },
};
const called = (name: string) => ({ ...TINY, name, ema: { rates: [0.9] } });

type Versions = Readonly<Record<string, readonly number[]>>;

async function withModels(
  t: ExecutionContext,
  versions: Versions,
  maxLoadedModels: number,
  more: Partial<SamplerServiceSettings> = {},
): Promise<SamplerFixture> {
  const fixture = await startFixture(
    async (store) => {
      for (const [name, steps] of Object.entries(versions))
        for (const step of steps) await commitTiny(store, { step, recipe: called(name) });
    },
    // However slow the machine is, calls get the checkpoint that they want.
    { engine: fakeEngine(), maxLoadedModels, swapWaitMs: 600_000, ...more },
  );
  t.teardown(() => fixture.close());
  return fixture;
}

/** The checkpoint that serves a call, which is then read to its end. */
async function servedBy({ client }: SamplerFixture, fields: Asked): Promise<number | undefined> {
  const { accepted } = await generated(generate(client, { settings, ...fields }));
  return accepted.checkpoint?.step;
}

/** A call that is served by an engine that never answers, so that it holds its model. */
async function holding({ client }: SamplerFixture, fields: Asked): Promise<() => Promise<void>> {
  const stream = generate(client, { settings, ...fields });
  await stream.next();
  return async () => {
    await stream.return(undefined);
  };
}

const onLinux = process.platform === 'linux' ? test.serial : test.serial.skip;

onLinux(
  'calls that are cancelled while their models load never leave more engines than places [fault A6]',
  async (t) => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const stuck = Object.fromEntries(names.map((name) => [name, [BEHAVIOURS.neverLoads]]));
    const fixture = await withModels(t, { ...stuck, good: [1] }, 1);
    const seen = new Set<number>();
    let most = 0;
    const look = async (): Promise<void> => {
      const pids = await enginePids();
      for (const pid of pids) seen.add(pid);
      most = Math.max(most, pids.length);
    };
    for (const [i, model] of names.entries()) {
      const gone = new AbortController();
      const call = generated(generate(fixture.client, { model, settings }, { signal: gone.signal }));
      while (seen.size <= i) {
        await look();
        await setTimeout(5);
      }
      gone.abort();
      await t.throwsAsync(call, { instanceOf: DiffusionError });
    }
    t.is(await servedBy(fixture, { model: 'good' }), 1);
    await look();
    t.is(seen.size, names.length + 1);
    t.true(most <= 2, `${most} engines at once`);
  },
);

onLinux('a service that stops does not wait for a load', async (t) => {
  const fixture = await withModels(t, { stuck: [BEHAVIOURS.neverLoads] }, 1);
  const call = generated(generate(fixture.client, { model: 'stuck', settings }));
  const failed = t.throwsAsync(call, { instanceOf: DiffusionError });
  while ((await enginePids()).length === 0) await setTimeout(5);
  await fixture.service.stop();
  t.is((await failed).reason, 'SERVICE_STOPPING');
  t.deepEqual(await enginePids(), []);
});

test.serial(
  'a newer checkpoint serves although an older one is in use in the only place [fault 101, A9, A37]',
  async (t) => {
    const fixture = await withModels(t, { tiny: [BEHAVIOURS.neverAnswers] }, 1);
    const end = await holding(fixture, { model: 'tiny' });
    await commitTiny(fixture.store, { step: 1000, recipe: called('tiny') });
    t.is(await servedBy(fixture, { model: 'tiny' }), 1000);
    // The extra place is taken now: what is loaded serves.
    await commitTiny(fixture.store, { step: 2000, recipe: called('tiny') });
    t.is(await servedBy(fixture, { model: 'tiny' }), 1000);
    const error = await t.throwsAsync(servedBy(fixture, { model: 'tiny', checkpointStep: 2000 }), {
      instanceOf: DiffusionError,
    });
    t.is(error.code, 'RESOURCE_EXHAUSTED');
    t.is(error.reason, 'MODELS_PINNED');
    t.truthy(error.retryAfterMs);
    await end();
    // The service gets the end a moment later.
    while ((await servedBy(fixture, { model: 'tiny' })) !== 2000);
  },
);

onLinux('a damaged newest checkpoint does not end the good one that serves [fault 102]', async (t) => {
  const fixture = await withModels(t, { tiny: [1] }, 1);
  t.is(await servedBy(fixture, { model: 'tiny' }), 1);
  const serving = await enginePids();
  t.is(serving.length, 1);
  await commitTiny(fixture.store, { step: BEHAVIOURS.isDamaged, recipe: called('tiny') });
  t.is(await servedBy(fixture, { model: 'tiny' }), 1);
  t.deepEqual(await enginePids(), serving);
});

onLinux(
  'a newest checkpoint whose engine fails to load is tried once, and the loaded one serves, which Accepted says [fault 102]',
  async (t) => {
    const fixture = await withModels(t, { tiny: [1] }, 1);
    t.is(await servedBy(fixture, { model: 'tiny' }), 1);
    const serving = await enginePids();
    await commitTiny(fixture.store, { step: BEHAVIOURS.failsToLoad, recipe: called('tiny') });
    for (let call = 0; call < 3; call++) {
      const { accepted } = await generated(generate(fixture.client, { model: 'tiny', settings }));
      t.is(accepted.checkpoint?.step, 1);
      t.like(accepted.skipped, [{ step: BEHAVIOURS.failsToLoad, reason: 'ENGINE_LOST' }]);
    }
    const exact = servedBy(fixture, { model: 'tiny', checkpointStep: BEHAVIOURS.failsToLoad });
    const error = await t.throwsAsync(exact, { instanceOf: DiffusionError });
    t.is(error.reason, 'ENGINE_LOST');
    t.truthy(error.retryAfterMs);
    t.deepEqual(await enginePids(), serving);
  },
);

onLinux(
  'a newest checkpoint that loads for too long keeps loading, and the loaded one serves meanwhile [fault 101, A9]',
  async (t) => {
    const fixture = await withModels(t, { tiny: [1] }, 1, { swapWaitMs: 100 });
    t.is(await servedBy(fixture, { model: 'tiny' }), 1);
    await commitTiny(fixture.store, { step: BEHAVIOURS.neverLoads, recipe: called('tiny') });
    const seen = new Set<string>();
    for (let call = 0; call < 3; call++) {
      const { accepted } = await generated(generate(fixture.client, { model: 'tiny', settings }));
      t.is(accepted.checkpoint?.step, 1);
      t.like(accepted.skipped, [{ step: BEHAVIOURS.neverLoads, reason: 'MODEL_LOADING' }]);
      seen.add(String(await enginePids()));
    }
    t.is(seen.size, 1, 'the same load continues');
    t.is([...seen][0]?.split(',').length, 2);
  },
);

for (const [what, behaviour] of [
  ['while it loads', BEHAVIOURS.saysNull],
  ['instead of an answer', BEHAVIOURS.answersTooLittle],
] as const) {
  test.serial(
    `an engine that sends an unknown message ${what} fails its calls, and not the service`,
    async (t) => {
      const fixture = await withModels(t, { broken: [behaviour], good: [1] }, 2);
      const error = await t.throwsAsync(servedBy(fixture, { model: 'broken' }), {
        instanceOf: DiffusionError,
      });
      t.is(error.code, 'UNAVAILABLE');
      t.is(error.reason, 'ENGINE_LOST');
      t.is(await servedBy(fixture, { model: 'good' }), 1);
    },
  );
}
