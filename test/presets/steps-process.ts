/** Makes the first optimizer steps of the preset that its argument describes in JSON, and prints their results in JSON. */
import { firstSteps } from './first-steps.js';
import type { PresetSteps } from './first-steps.js';

const result = await firstSteps(JSON.parse(process.argv[2] ?? '') as PresetSteps);
const peakMib = Math.round(process.resourceUsage().maxRSS / 1024);
process.stdout.write(JSON.stringify({ ...result, peakMib }));
