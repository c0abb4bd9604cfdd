import test from 'ava';

import {
  bounded,
  parseFromEngine,
  type FromEngine,
} from '../../../services/trainer/engine-process/messages.js';

const LONG = 'a'.repeat(3996) + '\u{1f600}'.repeat(10_000);

const texts: readonly FromEngine[] = [
  { type: 'ready', step: 0, sizeBytes: 0, message: LONG },
  { type: 'warning', message: LONG },
  { type: 'store', problem: LONG },
  { type: 'fenced', message: LONG },
  { type: 'failed', reason: 'INTERNAL', message: LONG },
];

for (const message of texts) {
  test(`a long text of a message (${message.type}) is cut, and does not end its sender`, (t) => {
    t.is(parseFromEngine(message), undefined);
    t.like(parseFromEngine(bounded(message)), { type: message.type });
    t.notThrows(() => encodeURI(JSON.stringify(bounded(message))));
  });
}

test('what is none of our messages is none', (t) => {
  for (const message of [null, 'ready', { type: 'ready' }, { type: 'failed', reason: 'NEW', message: '' }])
    t.is(parseFromEngine(message), undefined);
});
