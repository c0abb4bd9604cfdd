import test from 'ava';
import fc from 'fast-check';

import { readResumeToken, writeResumeToken } from '../../services/sampler/resume-token.js';
import { DiffusionError } from '../../shared/foundation/index.js';

const KEY = Buffer.alloc(32, 7);

const point = {
  requestSha256: 'b'.repeat(64),
  checkpointStep: 5,
  weights: 0.9999,
  weightsSha256: 'a'.repeat(64),
  index: 2 ** 32 - 1,
  state: {
    stepsDone: 3,
    x: Float32Array.of(0.1, -2, 3e-20, 4),
    history: [Float32Array.of(1, 2, 3, 4), Float32Array.of(5, 6, 7, 8)],
  },
};

test('what is written is read again to the bit', (t) => {
  t.deepEqual(readResumeToken(writeResumeToken(point, KEY), 'token', KEY), point);
  const fresh = { ...point, state: { ...point.state, history: [] } };
  t.deepEqual(readResumeToken(writeResumeToken(fresh, KEY), 'token', KEY), fresh);
  const raw = { ...point, weights: 'raw' as const };
  t.deepEqual(readResumeToken(writeResumeToken(raw, KEY), 'token', KEY), raw);
});

test('a token with any byte changed, cut or added is refused by its field', (t) => {
  const token = writeResumeToken(point, KEY);
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.integer({ min: 1, max: 255 }), (place, change) => {
      const changed = Buffer.from(token);
      changed[place] = (changed[place] ?? 0) ^ change;
      refuses(changed);
      refuses(token.subarray(0, place));
    }),
  );
  refuses(Buffer.concat([token, Buffer.of(0)]));
  refuses(Buffer.alloc(0));

  function refuses(bytes: Buffer): void {
    const error = t.throws(() => readResumeToken(bytes, 'resumeTokens[3]', KEY), {
      instanceOf: DiffusionError,
    });
    t.is(error.code, 'INVALID_ARGUMENT');
    t.is(error.violations[0]?.field, 'resumeTokens[3]');
  }
});

test('a token whose counts are none is refused', (t) => {
  for (const text of ['', ' 3', '1e1', '-1', '0x3', '9007199254740993']) {
    const token = writeResumeToken({ ...point, index: text as unknown as number }, KEY);
    t.throws(() => readResumeToken(token, 'token', KEY), { instanceOf: DiffusionError });
  }
});

test('a token that another deployment signed is refused', (t) => {
  const token = writeResumeToken(point, Buffer.alloc(32, 8));
  const error = t.throws(() => readResumeToken(token, 'token', KEY), { instanceOf: DiffusionError });
  t.is(error.reason, 'RESUME_TOKEN_INVALID');
});
