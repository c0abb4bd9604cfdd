import test from 'ava';

import {
  bounded,
  engineProtocol,
  type FromEngine,
} from '../../../services/trainer/engine-process/messages.js';

/** A message as the service takes it; undefined where it is not a message of the protocol. */
const parseFromEngine = (message: unknown) => engineProtocol.fromChild.safeParse(message).data;

const LONG = 'a'.repeat(3996) + '\u{1f600}'.repeat(10_000);

const texts: readonly FromEngine[] = [
  { kind: 'ready', step: 0, committedStep: 0, sizeBytes: 0, openedMs: 0, message: LONG },
  { kind: 'warning', message: LONG },
  { kind: 'store', report: { change: 'unavailable', problem: LONG, steps: [], waiting: 0, spilledBytes: 0 } },
  { kind: 'fenced', message: LONG },
  { kind: 'failed', reason: 'INTERNAL', message: LONG },
];

for (const message of texts) {
  test(`a long text of a message (${message.kind}) is cut, and does not end its sender`, (t) => {
    t.is(parseFromEngine(message), undefined);
    t.like(parseFromEngine(bounded(message)), { kind: message.kind });
    t.notThrows(() => encodeURI(JSON.stringify(bounded(message))));
  });
}

test('an unknown message is refused', (t) => {
  for (const message of [null, 'ready', { kind: 'ready' }, { kind: 'failed', reason: 'NEW', message: '' }])
    t.is(parseFromEngine(message), undefined);
});
