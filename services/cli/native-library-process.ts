/** Loads TensorFlow for the doctor, in a child process: a library that doesn't fit the machine may crash it. */

import { createEngine } from '../../shared/engine/index.js';
import { deviceSettings } from '../../shared/foundation/index.js';
import { connectToParent } from '../../shared/processes/index.js';
import { libraryProtocol } from './doctor/native-library.js';

const port = connectToParent(libraryProtocol, () => undefined);
try {
  port.send({ kind: 'loaded', build: (await createEngine(deviceSettings(process.env))).build });
} catch (error) {
  port.send({ kind: 'failed', problem: error instanceof Error ? error.message : String(error) });
}
