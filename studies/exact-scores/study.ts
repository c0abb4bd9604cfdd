/** The study of exact scores: see README.md. Each piece is a file. */
import type { Study } from '../study.js';
import { floors } from './floors.js';
import { gain } from './gain.js';
import { gate } from './gate.js';
import { identity } from './identity.js';
import { mixtures } from './mixtures.js';
import { perfectModel } from './perfect-model.js';

export const exactScores: Study = {
  folder: 'exact-scores',
  run: async (bench) => {
    await identity(bench);
    await gain(bench);
    await gate(bench);
    await floors(bench);
    await perfectModel(bench);
    await mixtures(bench);
  },
};
