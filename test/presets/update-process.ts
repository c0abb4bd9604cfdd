/** Makes the first updates of the preset that its argument describes in JSON, and prints what came of them in JSON. */
import { firstUpdates } from './first-update.js';
import type { PresetUpdate } from './first-update.js';

const result = await firstUpdates(JSON.parse(process.argv[2] ?? '') as PresetUpdate);
const peakMib = Math.round(process.resourceUsage().maxRSS / 1024);
process.stdout.write(JSON.stringify({ ...result, peakMib }));
