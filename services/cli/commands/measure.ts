/** `measure`: what is measured rather than trained or sampled. */

import type { Group } from '../command.js';
import { measurePackCommand } from './measure-pack.js';
import { measureQualityCommand } from './measure-quality.js';

export const measure: Group = {
  name: 'measure',
  summary: 'measures how good images are',
  commands: [measureQualityCommand, measurePackCommand],
};
