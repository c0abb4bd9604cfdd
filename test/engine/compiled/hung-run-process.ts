/**
 * A child whose runs wait for ever, as soon as it gets the message to begin: for an element of a queue into which nobody puts one.
 * Its event loop is free meanwhile.
 */
import { createBuilder } from '../../../shared/engine/compiled/builder.js';
import { OPERATIONS } from '../../../shared/engine/compiled/operations/index.js';
import type { Operations } from '../../../shared/engine/compiled/operations/operation.js';
import { runWatch } from '../../../shared/engine/compiled/run-watch.js';
import { openSession } from '../../../shared/engine/compiled/session.js';
import { createCompiledEngine } from '../../../shared/engine/index.js';
import { connectToParent } from '../../../shared/processes/index.js';
import { BEGIN } from '../../processes/begin-protocol.js';

const QUEUE: Operations = {
  FIFOQueueV2: { types: {}, infer: () => [{ dtype: 'resource', shape: [] }] },
  QueueDequeueV2: { types: {}, infer: () => [{ dtype: 'float32', shape: [] }] },
};
Object.assign(OPERATIONS, QUEUE);

const runs = runWatch({ leastMs: 300, timesLongest: 20, firstMs: 300, leastFlopsPerMs: 1e6 });
const port = connectToParent(
  BEGIN,
  () => {
    void begin();
  },
  runs.overdue,
);

async function begin(): Promise<void> {
  await createCompiledEngine();
  const builder = createBuilder('');
  const queue = builder.one('FIFOQueueV2', [], { component_types: { dtypes: ['float32'] } });
  const element = builder.one('QueueDequeueV2', [queue], { component_types: { dtypes: ['float32'] } });
  const session = openSession(runs);
  session.extend(builder.graph);
  const run = session.prepare([], [element], [], { name: 'a wait', flops: 0 });
  port.send({ kind: 'begun' });
  await run([]);
}
