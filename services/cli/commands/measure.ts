/** `measure`: what is measured rather than trained or sampled. */

import type { Group } from '../command.js';
import { measureCompareCommand } from './measure-compare.js';
import { measureExposureCommand } from './measure-exposure.js';
import { measureLikelihoodCommand } from './measure-likelihood.js';
import { measurePackCommand } from './measure-pack.js';
import { measureQualityCommand } from './measure-quality.js';
import { measureTableCommand } from './measure-table.js';
import {
  cancelMeasurement,
  deleteMeasurement,
  listMeasurements,
  showMeasurement,
  watchMeasurement,
} from './measurements.js';

export const measure: Group = {
  name: 'measure',
  summary: 'measures a model (exposure bias, likelihood), or how good images are',
  commands: [
    measureExposureCommand,
    measureLikelihoodCommand,
    measureQualityCommand,
    measureTableCommand,
    measureCompareCommand,
    measurePackCommand,
    listMeasurements,
    watchMeasurement,
    showMeasurement,
    cancelMeasurement,
    deleteMeasurement,
  ],
};
