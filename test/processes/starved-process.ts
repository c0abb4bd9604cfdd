/** Takes every file descriptor that this process may have, starts a child, gives them back, and starts another one. */
import { closeSync, openSync } from 'node:fs';

import { systemClock } from '../../shared/foundation/index.js';
import { siblingModule, startChild } from '../../shared/processes/index.js';
import { TALK } from './talk-protocol.js';

const ENOUGH = 100_000;

function start(onMessage: () => void) {
  return startChild({
    module: siblingModule(import.meta.url, './misbehaving-process'),
    protocol: TALK,
    environment: process.env,
    onMessage,
    heartbeatTimeoutMs: 600_000,
    clock: systemClock,
  });
}

const taken: number[] = [];
try {
  while (taken.length < ENOUGH) taken.push(openSync('/dev/null', 'r'));
} catch {
  // There is none left.
}
const starved = start(() => undefined);
for (const descriptor of taken) closeSync(descriptor);
const { lackedToStart } = await starved.exited;

let then = '';
const fed = start(() => {
  then = 'echoed';
  fed.kill();
});
fed.send({ kind: 'echo', values: new Float32Array(1) });
await fed.exited;
console.log(JSON.stringify({ lackedToStart, then }));
process.exit();
