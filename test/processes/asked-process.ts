/** Answers, fails, ends or waits, as it is asked; where it waits it says so, and when it is told to stop it fails. */
import { invalidArgument } from '../../shared/foundation/index.js';
import { connectToParent, failureOf } from '../../shared/processes/index.js';
import { ASKED } from './asked-protocol.js';

const port = connectToParent(ASKED, (message) => {
  if (message.kind === 'stop') {
    port.send({ kind: 'failed', failure: failureOf(new Error('stopped')) });
    return;
  }
  port.send({ kind: 'progress', done: 1 });
  if (message.what === 'answer') port.send({ kind: 'done', sum: 3 });
  else if (message.what === 'fail')
    port.send({
      kind: 'failed',
      failure: failureOf(invalidArgument([{ field: 'sum', description: 'is odd' }])),
    });
  else if (message.what === 'end') process.exit(3);
});
