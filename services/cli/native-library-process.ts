/** The doctor's look at TensorFlow, in a process of its own: a library that doesn't suit the machine may end it. */

import { createCompiledEngine } from '../../shared/engine/index.js';
import { connectToParent } from '../../shared/processes/index.js';
import { libraryProtocol } from './doctor/native-library.js';

const port = connectToParent(libraryProtocol, () => undefined);
try {
  port.send({ kind: 'loaded', build: (await createCompiledEngine()).build });
} catch (error) {
  port.send({ kind: 'failed', problem: error instanceof Error ? error.message : String(error) });
}
