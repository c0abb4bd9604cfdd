import test from 'ava';
import fc from 'fast-check';

import { engineProtocol, errorOf, faultOf } from '../../services/sampler/engine-process/messages.js';
import { DiffusionError, REASONS, isReason } from '../../shared/foundation/index.js';

/** A message as the service takes it; undefined where it is none. */
const parseFromEngine = (message: unknown) => engineProtocol.fromChild.safeParse(message).data;

test('any value is read as a message or undefined, and nothing is thrown', (t) => {
  fc.assert(
    fc.property(fc.anything({ withTypedArray: true, withNullPrototype: true }), (message) => {
      parseFromEngine(message);
    }),
  );
  t.is(parseFromEngine({ kind: 'predicted', id: 1, output: [1, 2] }), undefined);
  t.is(parseFromEngine({ kind: 'predicted', id: -1, output: new Float32Array(1) }), undefined);
  t.is(parseFromEngine({ kind: 'loaded', batchSizes: [] }), undefined);
  t.is(parseFromEngine({ kind: 'loaded', batchSizes: [1.5] }), undefined);
});

test('any thrown value becomes a message that survives a round trip', (t) => {
  const text = fc.string({ unit: 'binary', maxLength: 12_000, size: 'max' });
  const thrown = fc.oneof(
    fc.anything(),
    text.map((message) => new Error(message)),
    fc
      .tuple(text, fc.constantFrom(...Object.keys(REASONS)).filter(isReason), text)
      .map(([message, reason, fact]) => new DiffusionError(reason, message, { metadata: { fact } })),
  );
  fc.assert(
    fc.property(thrown, (error) => {
      const message = { kind: 'failed' as const, error: faultOf(error) };
      t.deepEqual(parseFromEngine(structuredClone(message)), message);
    }),
    { numRuns: 20 },
  );
});

test('a long text is cut between characters', (t) => {
  const { message } = faultOf(new DiffusionError('OBJECT_DAMAGED', 'a' + '😀'.repeat(5000)));
  t.true(message.length <= 4000);
  t.true(message.endsWith('😀...'));
});

test('clients get no text of an unexpected error; the log gets all of it [fault A20]', (t) => {
  for (const thrown of [
    new TypeError('a secret path'),
    new DiffusionError('ENGINE_FAILED', 'a secret path'),
  ]) {
    const { code, reason, message, cause } = errorOf(faultOf(thrown));
    t.is(code, 'INTERNAL');
    t.is(reason, 'ENGINE_FAILED');
    t.is(message, "the engine failed; the service's log has the cause");
    t.regex(String(cause), /a secret path\n +at /);
  }
});
