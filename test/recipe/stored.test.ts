/** Recipes as builds stored them: they are read as they were meant, and written back with nothing changed. */
import test from 'ava';

import { DiffusionError } from '../../shared/foundation/index.js';
import { changeRecipe, parseRecipe, recipeFormat, resolveRecipe } from '../../shared/recipe/index.js';

/** Of the first format version, with every field that it had. */
const STORED = JSON.parse(`{
  "name": "flowers", "preset": "demo-32", "variant": "ADM-GP",
  "dataset": {
    "source": {"kind": "folder", "path": "/images", "classFolders": true},
    "imageSize": 32, "channels": 3, "randomFlip": true
  },
  "noiseSchedule": {"name": "custom", "timesteps": 3, "betas": [0.1, 0.2, 0.3]},
  "inputPerturbation": {"gamma": 0, "schedule": "constant", "decaySteps": 0, "target": "epsilon"},
  "objective": {
    "meanType": "epsilon", "varianceType": "learned_range", "lossType": "rescaled_mse",
    "timestepSampler": "loss-second-moment", "rescaleTimesteps": false
  },
  "architecture": {
    "modelChannels": 32, "numResBlocks": 1, "channelMult": [1, 1, 2, 2], "attentionResolutions": [8], "dropout": 0,
    "numHeads": 4, "numHeadChannels": 32, "useScaleShiftNorm": true, "resblockUpdown": false, "convResample": true,
    "useNewAttentionOrder": true, "numClasses": 4
  },
  "optimizer": {
    "learningRate": 0.001, "weightDecay": 0, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "annealSteps": 0,
    "schedule": "linear", "warmUpSteps": 0, "l2Penalty": 0
  },
  "gradientPenalty": {"weight": 0.5, "estimator": "hutchinson", "stepSize": 0.01},
  "ema": {"rates": [0.9999], "warmUp": true},
  "training": {
    "steps": 1000, "batchSize": 32, "microbatchSize": 0, "seed": "18446744073709551615", "checkpointEverySteps": 100,
    "keepLast": 3, "keepEverySteps": 0, "sampleEverySteps": 100, "logEverySteps": 1, "precision": "float32",
    "gradientCheckpointing": false, "labelDropout": 0.1
  },
  "evaluation": {"images": 32, "everySteps": 100},
  "warmStart": {"model": "base", "checkpointStep": 7, "weights": "raw"}
}`) as Record<string, object>;

test('a recipe of the first format keeps every value, and its version [fault 106]', (t) => {
  const recipe = parseRecipe(STORED);
  // What later builds add, they add with a default.
  t.like(recipe, STORED);
  t.is(recipeFormat.versionOf(recipe), 1);
});

test('a recipe of the first format resolves to itself', (t) => {
  t.like(resolveRecipe(STORED, 'other'), STORED);
});

test('a recipe without the sections that came later is read with their defaults', (t) => {
  const { evaluation, gradientPenalty, warmStart, ...before } = STORED;
  t.truthy(evaluation && gradientPenalty && warmStart);
  const recipe = parseRecipe(before);
  t.deepEqual(recipe.evaluation, { images: 0, everySteps: 0 });
  t.is(recipe.gradientPenalty.weight, 0);
  t.false('warmStart' in recipe);
});

test('what another build stored beside the known fields stays, also where the job is resumed', (t) => {
  const stored = {
    ...STORED,
    later: { field: 1 },
    training: { ...STORED['training'], laterField: [1] },
    dataset: { ...STORED['dataset'], source: { kind: 'folder', path: '/x', classFolders: true, later: 5 } },
  };
  const recipe = parseRecipe(stored);
  t.like(recipe, stored);
  const changed = changeRecipe(recipe, { training: { steps: 9 } });
  t.like(changed, { ...stored, training: { ...stored.training, steps: 9 } });
});

test('a value that this build does not know is refused by name, as of another build', (t) => {
  const stored = { ...STORED, objective: { ...STORED['objective'], meanType: 'phase' } };
  const error = t.throws(() => parseRecipe(stored), { instanceOf: DiffusionError });
  t.is(error.reason, 'RECIPE_UNSUPPORTED');
  t.regex(error.message, /recipe\.objective\.mean_type: wanted one of epsilon.*; got "phase"/);
});
