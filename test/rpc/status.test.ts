import { status } from '@grpc/grpc-js';
import test from 'ava';
import fc from 'fast-check';

import { fromServiceError, toServiceError } from '../../shared/rpc/index.js';
import { anyText } from '../foundation/texts.js';
import { DiffusionError, invalidArgument, violation } from '../../shared/foundation/index.js';

const METHOD = '/a.test.Service/Method';

test('an error comes through the wire with its fields, reason, facts and delay', (t) => {
  const sent = new DiffusionError('QUEUE_FULL', 'the queue is full', {
    violations: [violation('count', 'at most 10', 11)],
    metadata: { queue: '16' },
    retryAfterMs: 1500,
  });
  const wire = toServiceError(sent, METHOD, () => undefined);
  t.is(wire.code, status.RESOURCE_EXHAUSTED);
  const received = fromServiceError(wire);
  t.is(received.code, sent.code);
  t.is(received.message, sent.message);
  t.is(received.reason, sent.reason);
  t.is(received.retryAfterMs, 1500);
  t.deepEqual(received.metadata, sent.metadata);
  t.like(received.violations[0], { field: 'count', description: 'wanted at most 10; got 11' });
});

test('anything that is no DiffusionError is INTERNAL with an id, and its text only reported', (t) => {
  const reported: unknown[] = [];
  const secret = new Error('password=hunter2');
  const wire = toServiceError(secret, METHOD, (...report) => reported.push(report));
  t.is(wire.code, status.INTERNAL);
  t.notRegex(JSON.stringify([wire.message, wire.details, wire.metadata.toJSON()]), /hunter2/);
  t.deepEqual(reported, [[secret, fromServiceError(wire).metadata['id']]]);
});

test('a thousand violations still fit a header', (t) => {
  const violations = Array.from({ length: 1000 }, (_, index) =>
    violation(`field${index}`, 'less', 'x'.repeat(500)),
  );
  const wire = toServiceError(invalidArgument(violations), METHOD, () => undefined);
  const bytes = wire.message.length + (wire.metadata.get('grpc-status-details-bin')[0]?.length ?? 0);
  t.true(bytes < 8000, String(bytes));
});

test('no text keeps an error from being sent, nor makes its headers longer than clients take [fault A1]', (t) => {
  fc.assert(
    fc.property(anyText(5000), fc.array(anyText(500), { maxLength: 40 }), (text, fields) => {
      const violations = fields.map((field) => ({ field, description: text }));
      const metadata = Object.fromEntries(fields.map((field) => [field, text]));
      const error = DiffusionError.received('NOT_FOUND', text, text, { violations, metadata });
      const wire = toServiceError(error, METHOD, () => undefined);
      const details = wire.metadata.get('grpc-status-details-bin')[0] as Buffer;
      const headers = encodeURI(wire.details).length + details.toString('base64').length;
      t.true(headers < 8000, String(headers));
      t.is(fromServiceError(wire).code, 'NOT_FOUND');
    }),
  );
});
