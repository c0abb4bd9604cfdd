/** Settings under which the sampler starts engines without a network. */

import { readSettings } from '../../services/sampler/config.js';
import type { EngineSettings } from '../../services/sampler/prediction-engine.js';
import { siblingModule } from '../../shared/processes/index.js';

/** Steps of checkpoints at which a fake engine doesn't do what it is asked for; at all others it does. */
export const BEHAVIOURS = {
  neverAnswers: 800,
  neverLoads: 900,
  isDamaged: 901,
  failsToLoad: 902,
  saysNothingWeKnow: 910,
  saysNull: 911,
  writesJunk: 917,
  failsWithoutAnError: 912,
  loadsOtherSizes: 913,
  loadsTwice: 914,
  answersTooLittle: 915,
  answersAnotherPass: 916,
};

export function fakeEngine(): EngineSettings {
  return {
    ...readSettings({ ...process.env }).engine,
    module: siblingModule(import.meta.url, './fake-engine-process'),
  };
}
