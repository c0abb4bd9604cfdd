/** A child whose native run never ends. */
import { siblingModule, startChild } from '../../../shared/processes/index.js';
import { systemClock } from '../../../shared/foundation/index.js';
import type { Child } from '../../../shared/processes/index.js';

export function startHung(): Child<object> {
  const child: Child<object> = startChild<object, object>({
    module: siblingModule(import.meta.url, './hung-run-process'),
    environment: process.env,
    onMessage: () => undefined,
    // Heartbeats come all the time.
    silenceTimeoutMs: 600_000,
    clock: systemClock,
  });
  child.send({ type: 'begin' });
  return child;
}
