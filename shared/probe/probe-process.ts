/** Starts an engine in a process of its own, to see that it can: a library that doesn't fit the machine may crash it. */

import { createEngine, deviceFor } from '../engine/index.js';
import { deviceSettings } from '../foundation/index.js';
import { connectToParent } from '../processes/index.js';
import { probeProtocol } from './probe-messages.js';

const port = connectToParent(probeProtocol, () => undefined);
let device: string | undefined;
try {
  const settings = deviceSettings();
  device = deviceFor(settings);
  port.send({ kind: 'started', build: (await createEngine(settings)).build });
} catch (error) {
  port.send({ kind: 'failed', problem: error instanceof Error ? error.message : String(error), device });
}
