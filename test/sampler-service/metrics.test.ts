/** The sampler's metrics after known work, over the wire, with an engine that computes nothing. */

import test from 'ava';

import { readSettings } from '../../services/sampler/config.js';
import { loadModel } from '../../services/sampler/loaded-model.js';
import { samplerMetrics } from '../../services/sampler/metrics.js';
import { passGates } from '../../services/sampler/pass-gate.js';
import { ENGINE_LOST } from '../../services/sampler/prediction-engine.js';
import { samplingWire, type samplerWire } from '../../shared/contract/index.js';
import { DiffusionError, systemClock } from '../../shared/foundation/index.js';
import { metricRegistry } from '../../shared/metrics/index.js';
import { UNCONDITIONAL } from '../../shared/sampler/index.js';
import { samplesOf, scrape, startingWith } from '../metrics/samples.js';
import { metricsAt } from '../rpc/security.js';
import { BEHAVIOURS, fakeEngine } from './fake-engine.js';
import { ownerOf } from './owners.js';
import { generate, generated, startFixture } from './sampler-fixture.js';
import { commitTiny } from './tiny-model.js';

const GENERATE = 'diffusion.sampler.v1.SamplerService/Generate';
const settings = {
  ...samplingWire.SamplerSettings.create(),
  timesteps: { $case: 'steps' as const, value: 5 },
};

async function nextOf(stream: AsyncGenerator<samplerWire.GenerateResponse>): Promise<string | undefined> {
  const next: IteratorResult<samplerWire.GenerateResponse, unknown> = await stream.next();
  return next.done === true ? undefined : next.value.event?.$case;
}

test('the waiting gauge is the true backlog and returns to 0; work and calls are counted as they were', async (t) => {
  const { client, service, close } = await startFixture(
    async (store) => {
      await commitTiny(store, { step: 1 });
      await commitTiny(store, { step: BEHAVIOURS.neverAnswers });
    },
    {
      engine: fakeEngine(),
      metrics: metricsAt('127.0.0.1:0'),
      admission: { ...readSettings({}).admission, calls: 1 },
    },
  );
  t.teardown(close);
  const queue = async () => {
    const samples = await scrape(service.metricsPort);
    const waiting = (priority: string): number =>
      samples.get(`ip_diffusion_sampler_calls_waiting{priority="${priority}"}`) ?? NaN;
    t.is(waiting('interactive') + waiting('batch'), 0, 'the calls here are of the class normal');
    return { waiting: waiting('normal'), running: samples.get('ip_diffusion_sampler_calls_running') };
  };
  /** Calls end a moment after their client knows. */
  const until = async (waiting: number, running: number): Promise<void> => {
    for (let now = await queue(); now.waiting !== waiting || now.running !== running;) now = await queue();
  };
  t.deepEqual(await queue(), { waiting: 0, running: 0 });

  const [first, second] = [new AbortController(), new AbortController()];
  const hung = generate(client, { checkpointStep: BEHAVIOURS.neverAnswers, settings }, first);
  t.is(await nextOf(hung), 'accepted');
  const asked = { checkpointStep: 1, settings };
  const leaving = generate(client, asked, second);
  t.is(await nextOf(leaving), 'queued');
  const patient = generate(client, asked);
  t.is(await nextOf(patient), 'queued');
  t.deepEqual(await queue(), { waiting: 2, running: 1 });

  second.abort();
  await t.throwsAsync(leaving.next());
  await until(1, 1);
  first.abort();
  await t.throwsAsync(hung.next());
  for await (const { event } of patient) if (event?.$case === 'completed') t.is(event.value.images, 1);
  t.is((await generated(generate(client, { ...asked, count: 3 }))).images.size, 3);
  await until(0, 0);

  const samples = await scrape(service.metricsPort);
  const ofSampler = startingWith(samples, 'ip_diffusion_sampler_');
  t.like(ofSampler, {
    ip_diffusion_sampler_images_total: 4,
    // One evaluation for each step of each image.
    ip_diffusion_sampler_pass_rows_sum: 20,
    ip_diffusion_sampler_models_loaded: 2,
    ip_diffusion_sampler_engine_restarts_total: 0,
    // All that came have left the queue.
    'ip_diffusion_sampler_wait_seconds_count{priority="normal"}': 4,
    'ip_diffusion_sampler_first_image_seconds_count{priority="normal"}': 2,
    'ip_diffusion_sampler_complete_seconds_count{priority="normal"}': 2,
  });
  t.is(
    ofSampler['ip_diffusion_sampler_pass_seconds_count'],
    ofSampler['ip_diffusion_sampler_pass_rows_count'],
  );
  const calls = (code: string): string =>
    `ip_diffusion_calls_total{method="${GENERATE}",code="${code}",reason="${code}",caller="anonymous"}`;
  t.deepEqual(startingWith(samples, `ip_diffusion_calls_total{method="${GENERATE}"`), {
    [calls('OK')]: 2,
    [calls('CANCELLED')]: 2,
  });
  t.true((samples.get('ip_diffusion_store_calls_total{operation="get",outcome="OK"}') ?? 0) > 0);
});

test('a pass has its rows and its padding; an engine that takes the place of a lost one is a restart', async (t) => {
  const registry = metricRegistry();
  const { engine: observer } = samplerMetrics(registry);
  const answers = [
    () => [Float32Array.of(5)],
    () => {
      throw new DiffusionError(ENGINE_LOST, 'the engine process is gone');
    },
    () => [Float32Array.of(5)],
  ];
  const model = await loadModel({
    ...{ gates: passGates(systemClock), clock: systemClock, observer },
    start: () =>
      Promise.resolve({
        batchSizes: [4],
        peakBytes: () => 1,
        predict: () => Promise.resolve().then(() => answers.shift()?.() ?? []),
        close: () => Promise.resolve(),
      }),
  });
  const row = { xT: Float32Array.of(0), t: 7, y: UNCONDITIONAL };
  const options = { owner: ownerOf(), signal: new AbortController().signal };
  for (let i = 0; i < 2; i++) await model.predict(row, options);
  t.like(Object.fromEntries(samplesOf(await registry.text())), {
    ip_diffusion_sampler_pass_rows_sum: 2,
    ip_diffusion_sampler_pass_rows_count: 2,
    ip_diffusion_sampler_padding_rows_total: 6,
    ip_diffusion_sampler_pass_seconds_count: 2,
    ip_diffusion_sampler_engine_restarts_total: 1,
  });
});
