/** Draws a chart of letters to standard output. */
import { chartPng } from '../../shared/charts/index.js';
import { LETTERS } from './letters.js';

process.stdout.write(await chartPng(LETTERS));
