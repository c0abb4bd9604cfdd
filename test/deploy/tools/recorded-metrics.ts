/** The metrics of a real run of both services, read again and again: training with an evaluation, sampling, a refused call. */
import { startSampler } from '../../../services/sampler/start-sampler.js';
import { readSettings as readSamplerSettings } from '../../../services/sampler/config.js';
import { readSettings as readTrainerSettings } from '../../../services/trainer/config.js';
import { connectSampler, serviceLog } from '../../../shared/rpc/index.js';
import { samplingWire } from '../../../shared/contract/index.js';
import { pause } from '../../../shared/foundation/index.js';
import { generate, generated } from '../../sampler-service/sampler-fixture.js';
import { makeFolders, openTrainer, tinyRecipe, train } from '../../integration/trainer-fixture.js';
import { scrape } from '../../metrics/samples.js';

/** The values of each series, one a reading; undefined where a reading did not have it. */
export type Recording = ReadonlyMap<string, readonly (number | undefined)[]>;

const READ_EVERY_MS = 300;
/**
 * Of more readings, every second one that has the series of the one before it is left out, and again: promtool holds all of
 * them in memory. A series that is there for a moment, as those of a job are on a busy machine, stays.
 */
const MOST_READINGS = 40;
const STEPS = 60;

/** The labels that Prometheus adds are in the series' names, as the configuration of `deploy/compose` sets them. */
export async function recordRun(): Promise<Recording> {
  const folders = await makeFolders(24);
  const environment = {
    ...process.env,
    IP_DIFFUSION_STORE: `${folders.root}/store`,
    IP_DIFFUSION_CACHE: folders.cache,
    IP_DIFFUSION_METRICS_ADDRESS: '127.0.0.1:0',
    IP_DIFFUSION_SAMPLER_ADDRESS: '127.0.0.1:0',
    IP_DIFFUSION_TRAINER_ADDRESS: '127.0.0.1:0',
    IP_DIFFUSION_LOG_LEVEL: 'silent',
  };
  const trainer = await openTrainer({ ...readTrainerSettings(environment), restartDelayMs: 10 });
  const sampler = await startSampler(readSamplerSettings(environment), serviceLog('recording', 'silent'));
  const readings: Map<string, number>[] = [];
  const readNow = async (): Promise<void> => {
    const samples = new Map<string, number>();
    for (const [instance, port] of Object.entries({
      trainer: trainer.metricsPort,
      sampler: sampler.metricsPort,
    }))
      for (const [series, value] of await scrape(port)) samples.set(labelled(series, instance), value);
    readings.push(samples);
    if (readings.length > MOST_READINGS)
      readings.splice(
        0,
        readings.length,
        ...readings.filter((each, i) => i % 2 === 0 || !hasSameSeries(each, readings[i - 1])),
      );
  };
  let last = Promise.resolve();
  /** One after the other, so that counters never fall. */
  const read = (): Promise<void> => {
    last = last.then(readNow);
    return last;
  };
  let running = true;
  const reading = (async () => {
    while (running) {
      await read();
      await pause(READ_EVERY_MS);
    }
  })();
  try {
    await pause(2 * READ_EVERY_MS);
    const recipe = tinyRecipe(folders.images, {
      name: 'recorded',
      evaluation: { images: 8, everySteps: 20 },
      training: { steps: STEPS, checkpointEverySteps: 10 },
    });
    await train(trainer.client, recipe);
    const client = connectSampler(`127.0.0.1:${sampler.port}`);
    const settings = samplingWire.SamplerSettings.create({ timesteps: { $case: 'steps', value: 20 } });
    for (let call = 0; call < 3; call++) {
      await generated(generate(client, { model: 'recorded', count: 3, settings }));
      await generated(generate(client, { model: 'unknown', count: 1, settings })).catch(() => undefined);
      // On a busy machine all calls could lie between two readings, and no rate would show them.
      await read();
    }
    client.close();
    await pause(2 * READ_EVERY_MS);
  } finally {
    running = false;
    await reading;
    await sampler.stop();
    await trainer.stop();
    await folders.remove();
  }
  const names = new Set(readings.flatMap((samples) => [...samples.keys()]));
  return new Map([...names].map((name) => [name, readings.map((samples) => samples.get(name))]));
}

/** Of our own series: Node's come and go with what the process waits for. */
function hasSameSeries(reading: ReadonlyMap<string, number>, before?: ReadonlyMap<string, number>): boolean {
  const ours = (of: ReadonlyMap<string, number> = new Map()): string =>
    [...of.keys()].filter((series) => series.startsWith('ip_diffusion_')).join();
  return ours(reading) === ours(before);
}

function labelled(series: string, instance: string): string {
  const [name, rest = '}'] = series.split(/\{(.*)/s, 2);
  return `${name}{job="ip-diffusion",instance="${instance}"${rest === '}' ? '' : ','}${rest}`;
}
