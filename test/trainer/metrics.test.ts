/** The trainer's metrics after what engines have said. */

import test from 'ava';

import type { FromEngine } from '../../services/trainer/engine-process/messages.js';
import { deferred } from '../../shared/foundation/index.js';
import { samplesOf, startingWith } from '../metrics/samples.js';
import { engines, finished, killed, plays, readyAt } from './fake-engine.js';
import { end, openStore, removeAll, recipe, trainer } from './trainers.js';

test.after.always(removeAll);

const reported = (step: number, loss: number): FromEngine => ({
  kind: 'event',
  event: {
    kind: 'metrics',
    metrics: {
      ...{ step, totalSteps: 100, loss, mse: loss, gradNorm: 1, paramNorm: 1, learningRate: 1e-4 },
      ...{ gamma: 0.1, inputNoiseVariance: 1, timestepsWeighted: false, imagesPerSecond: 25 },
      ...{ samplesSeen: step, epoch: 0 },
    },
  },
});
const evaluated: FromEngine = {
  kind: 'event',
  event: { kind: 'evaluation', evaluation: { step: 10, images: 4, mse: 0.5, emaMse: 0.75 } },
};
const outage: FromEngine = {
  kind: 'store',
  report: { change: 'unavailable', problem: 'away', sinceMs: 0, steps: [], waiting: 2, spilledBytes: 0 },
};
const available: FromEngine = {
  kind: 'store',
  report: { change: 'available', steps: [], waiting: 0, spilledBytes: 0 },
};
const committed = (waiting: number): FromEngine => ({
  kind: 'committed',
  step: 2,
  ms: 1500,
  bytes: 1000,
  waiting,
});

test('a job is counted from its turn to its end: steps, loss, commits, outages, restarts', async (t) => {
  const begun = deferred();
  const goOn = deferred();
  const { startEngine } = engines(plays(readyAt(0), reported(10, 0.5), outage, killed), ({ send }) => {
    for (const message of [readyAt(4), reported(6, 0.25), evaluated, outage, committed(1)]) send(message);
    begun.resolve();
    void goOn.promise.then(() => {
      for (const message of [committed(0), available, finished]) send(message);
    });
    return undefined;
  });
  const one = trainer(await openStore(), startEngine);
  const { registry, clock } = one;
  const of = async (): Promise<Record<string, number>> => {
    const samples = startingWith(samplesOf(await registry.text()), 'ip_diffusion_trainer_');
    return Object.fromEntries(
      Object.entries(samples).map(([name, value]) => [name.replace('ip_diffusion_trainer_', ''), value]),
    );
  };
  const idle = await of();
  t.like(idle, { images_per_second: 0, store_unavailable_seconds: 0, 'jobs{state="RUNNING"}': 0 });
  t.false('loss' in idle);
  t.false('evaluation_mse{weights="raw"}' in idle);
  t.false('since_commit_seconds' in idle);

  const job = await one.requests.create(recipe('m'), '');
  await begun.promise;
  clock.pass(2000);
  t.like(await of(), {
    // Ten, and two after the checkpoint of step 4.
    optimizer_steps_total: 12,
    images_per_second: 25,
    loss: 0.25,
    'evaluation_mse{weights="raw"}': 0.5,
    'evaluation_mse{weights="ema"}': 0.75,
    since_commit_seconds: 2,
    commit_seconds_sum: 1.5,
    commit_seconds_count: 1,
    commit_bytes_total: 1000,
    waiting_commits: 1,
    store_outages_total: 2,
    store_unavailable_seconds: 2,
    engine_restarts_total: 1,
    'jobs{state="RUNNING"}': 1,
    'jobs{state="PENDING"}': 0,
  });

  goOn.resolve();
  t.is(await end(one, job), 'SUCCEEDED');
  const last = await of();
  t.like(last, {
    commit_bytes_total: 2000,
    waiting_commits: 0,
    store_outages_total: 2,
    store_unavailable_seconds: 0,
    images_per_second: 0,
    'jobs{state="RUNNING"}': 0,
    'jobs_ended_total{state="SUCCEEDED",reason="none"}': 1,
  });
  t.false('loss' in last);
});
