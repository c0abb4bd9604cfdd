/** A child that is busy for ever once it gets the message to begin, so that it sends nothing any more. */
import { connectToParent } from '../../shared/processes/index.js';
import { BEGIN } from './begin-protocol.js';

const port = connectToParent(BEGIN, () => {
  port.send({ kind: 'begun' });
  setImmediate(() => {
    for (;;);
  });
});
