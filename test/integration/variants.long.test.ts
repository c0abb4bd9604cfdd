/** Every system of the paper from end to end: trained, committed with its contract, and sampled from. */
import { join } from 'node:path';

import test from 'ava';

import { readSettings } from '../../services/sampler/config.js';
import { startSampler } from '../../services/sampler/start-sampler.js';
import { connectSampler, serviceLog } from '../../shared/rpc/index.js';
import { recipeFromWire, samplingWire } from '../../shared/contract/index.js';
import { VARIANTS, type PartialRecipe, type Variant } from '../../shared/recipe/index.js';
import { storeSettings } from '../../shared/store/index.js';
import { generate, generated } from '../sampler-service/sampler-fixture.js';
import { JobState, makeFolders, openTrainer, settingsFor, tinyRecipe, train } from './trainer-fixture.js';

const GAMMA = 0.5;

/** What a variant needs besides its name. */
const FIELDS: Readonly<Record<Variant, PartialRecipe>> = {
  DDPM: { inputPerturbation: { gamma: 0 } },
  'DDPM-IP': { inputPerturbation: { gamma: GAMMA } },
  'DDPM-y': { inputPerturbation: { gamma: GAMMA } },
  ADM: { inputPerturbation: { gamma: 0 } },
  'ADM-IP': { inputPerturbation: { gamma: GAMMA } },
  'ADM-GP': {
    inputPerturbation: { gamma: 0 },
    gradientPenalty: { weight: 0.1, estimator: 'finite_difference' },
  },
  'ADM-WD': { inputPerturbation: { gamma: 0 }, optimizer: { weightDecay: 0.01 } },
};

test('each variant trains, commits its contract and is sampled from', async (t) => {
  const folders = await makeFolders();
  t.teardown(() => folders.remove());
  const environment = { IP_DIFFUSION_STORE: join(folders.root, 'store') };
  const trainer = await openTrainer(settingsFor(folders, storeSettings(environment, '')));
  for (const variant of VARIANTS) {
    const name = variant.toLowerCase();
    const training = { steps: 2, batchSize: 2 };
    const recipe = tinyRecipe(folders.images, { name, variant, training, ...FIELDS[variant] });
    const job = await train(trainer.client, recipe);
    t.is(job.state, JobState.JOB_STATE_SUCCEEDED, job.message);
    t.is(job.latestMetrics?.gamma, FIELDS[variant].inputPerturbation?.gamma);
  }
  await trainer.stop();

  const sampler = await startSampler(
    { ...readSettings({ ...process.env, ...environment }), address: '127.0.0.1:0' },
    serviceLog('test', 'silent'),
  );
  const client = connectSampler(`127.0.0.1:${sampler.port}`);
  const settings = samplingWire.SamplerSettings.create({ timesteps: { $case: 'steps', value: 3 } });
  for (const variant of VARIANTS) {
    const { accepted, images } = await generated(
      generate(client, { model: variant.toLowerCase(), count: 1, settings }),
    );
    const recipe = recipeFromWire(accepted.checkpoint?.recipe);
    t.is(recipe.variant, variant);
    t.like(recipe, FIELDS[variant]);
    t.is(images.size, 1);
  }
  client.close();
  await sampler.stop();
});
