/** The doctor's look at TensorFlow, in a process of its own: a library that doesn't suit the machine may end it. */

import { createCompiledEngine } from '../../shared/engine/index.js';
import { connectToParent } from '../../shared/processes/index.js';
import type { EngineFound } from './doctor/native-library.js';

const port = connectToParent<never, EngineFound>(() => undefined);
try {
  port.send({ build: (await createCompiledEngine()).build });
} catch (error) {
  port.send({ problem: error instanceof Error ? error.message : String(error) });
}
