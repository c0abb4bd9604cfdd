/** A child whose native run never ends. */
import { siblingModule, startChild } from '../../../shared/processes/index.js';
import { systemClock } from '../../../shared/foundation/index.js';
import { BEGIN } from '../../processes/begin-protocol.js';
import type { Child } from '../../../shared/processes/index.js';

export function startHung(): Child<{ kind: 'begin' }> {
  const child: Child<{ kind: 'begin' }> = startChild({
    module: siblingModule(import.meta.url, './hung-run-process'),
    protocol: BEGIN,
    environment: process.env,
    onMessage: () => undefined,
    // Heartbeats come all the time.
    heartbeatTimeoutMs: 600_000,
    clock: systemClock,
  });
  child.send({ kind: 'begin' });
  return child;
}
