/** A child that is busy for ever once it is told to begin, so that it sends nothing any more. */
import { connectToParent } from '../../shared/processes/index.js';

const port = connectToParent<object, object>(() => {
  port.send({ type: 'begun' });
  setImmediate(() => {
    for (;;);
  });
});
