/** What exposure bias costs while a network is trained, as a share of the training. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openRun } from '../../services/trainer/engine-process/open-run.js';
import { bindModel, claimAttempt } from '../../shared/models/index.js';
import { resolveRecipe, type PartialRecipe } from '../../shared/recipe/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import {
  EXPOSURE_HELD_OUT,
  exposureEverySteps,
  measureRun,
  optimizerStep,
} from '../../shared/training/index.js';
import { imagesFile } from '../sampler-service/measurements.js';
import { processorSeconds } from '../../studies/study.js';
import { rounded, type Bench } from './table.js';

const ROUNDS = 3;
const STEPS_A_ROUND = 12;

const SMALL: PartialRecipe = {
  ...{ dataset: { imageSize: 8 }, training: { batchSize: 64 } },
  architecture: { modelChannels: 32, numResBlocks: 1, channelMult: [1, 2], attentionResolutions: [8, 4] },
};
const CASES: Readonly<Record<string, PartialRecipe>> = {
  'demo-32': {},
  'demo-32, batches of 4': { training: { batchSize: 4 } },
  '8x8, 0.8M parameters': SMALL,
  '8x8, batches of 8': { ...SMALL, training: { batchSize: 8 } },
};

export const exposure: Bench = async (say, isWanted) => {
  const rows = [];
  for (const [name, of] of Object.entries(CASES).filter(([each]) => isWanted(each))) {
    say(name);
    rows.push({ recipe: name, ...(await costOf(name, of)) });
  }
  return {
    about: `processor time; ${STEPS_A_ROUND} optimizer steps and a measurement in turn, the least of ${ROUNDS}`,
    rows,
  };
};

async function costOf(name: string, of: PartialRecipe) {
  const folder = await mkdtemp(join(tmpdir(), 'exposure-'));
  const { imageSize = 32 } = of.dataset ?? {};
  // A tenth of the images is held out at most.
  const path = await imagesFile(20 * EXPOSURE_HELD_OUT, imageSize);
  const source = { kind: 'npz', location: path, classes: false } as const;
  const recipe = resolveRecipe(
    {
      ...{ preset: 'demo-32', ...of, dataset: { ...of.dataset, source } },
      evaluation: { images: EXPOSURE_HELD_OUT, everySteps: 1000 },
    },
    'bench',
  );
  const store = await openLocalStore({ folder: join(folder, 'store') });
  const job = 'bench';
  await bindModel(store, job, job);
  const { signal } = new AbortController();
  const run = await openRun(
    {
      ...{ kind: 'start', jobId: job, model: job, recipe, attempt: await claimAttempt(store, job) },
      ...{ committedStep: 0, store: { kind: 'local', folder: join(folder, 'store') } },
      ...{ fileAccess: { local: { roots: undefined } }, cacheFolder: join(folder, 'cache') },
      storeRetryLimitMs: 1000,
    },
    store,
    signal,
  );
  let step = 0;
  const steps = async (): Promise<void> => {
    for (let n = 0; n < STEPS_A_ROUND; n++) await optimizerStep(run, step++);
  };
  const measuring = async (): Promise<void> => {
    if ((await measureRun(recipe, run.loaded, run.heldOut, signal)) === undefined)
      throw new Error('nothing was measured');
  };
  try {
    await steps();
    await measuring();
    let [ofSteps, ofMeasuring] = [Infinity, Infinity];
    for (let round = 0; round < ROUNDS; round++) {
      ofSteps = Math.min(ofSteps, await processorSeconds(steps));
      ofMeasuring = Math.min(ofMeasuring, await processorSeconds(measuring));
    }
    const ofAStep = ofSteps / STEPS_A_ROUND;
    const every = exposureEverySteps(recipe);
    return {
      'step, ms': rounded(1000 * ofAStep),
      'measurement, ms': rounded(1000 * ofMeasuring),
      'in steps': rounded(ofMeasuring / ofAStep, 2),
      'every steps': every,
      'share, %': rounded((100 * ofMeasuring) / (every * ofAStep), 2),
    };
  } finally {
    await run.loaded.dispose();
    await run.dataset.close();
    await store.close();
    await rm(folder, { recursive: true });
  }
}
