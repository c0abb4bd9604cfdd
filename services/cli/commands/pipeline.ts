/** `pipeline`: batches, their figures and sweeps, by workers on any number of machines. Needs a Temporal server. */

import type { Group } from '../command.js';
import { pipelineCancel, pipelineList, pipelineWatch } from './pipeline-watch.js';
import { pipelineSubmit, pipelineSweep } from './pipeline-submit.js';
import { pipelineWorker } from './pipeline-worker.js';

export const pipeline: Group = {
  name: 'pipeline',
  summary: 'makes and measures images on many machines, by workers of a Temporal server',
  commands: [pipelineSubmit, pipelineSweep, pipelineWatch, pipelineList, pipelineCancel, pipelineWorker],
};
