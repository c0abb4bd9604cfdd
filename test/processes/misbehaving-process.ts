/** A child that answers as the message says, and writes other things to its channel, too. */
import { writeSync } from 'node:fs';

import { connectToParent } from '../../shared/processes/index.js';
import { TALK } from './talk-protocol.js';

const CHANNEL_FD = 3;

const port = connectToParent(TALK, (message) => {
  switch (message.kind) {
    case 'echo':
      port.send({ kind: 'echoed', values: message.values });
      return;
    case 'write':
      writeSync(CHANNEL_FD, message.bytes);
      return;
    case 'flood':
      // What the parent doesn't read waits in this process, up to a limit.
      for (;;) port.send({ kind: 'echoed', values: new Float32Array(100_000) });
  }
});
