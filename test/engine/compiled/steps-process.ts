/** Three optimizer steps of a small training run; prints a hash of every byte of the results and the variables. */
import { createHash } from 'node:crypto';

import { createCompiledEngine } from '../../../shared/engine/index.js';
import { NETWORK, trainedFrom, training } from './training.js';

const engine = await createCompiledEngine();
const log = await trainedFrom(engine.load, training(NETWORK, 1));
const hash = createHash('sha256');
for (const [name, values] of Object.entries(log)) hash.update(name).update(values);
console.log(hash.digest('hex'));
