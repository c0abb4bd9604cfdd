import test from 'ava';

import { DiffusionError, engineEnvironment, environmentReader } from '../../shared/foundation/index.js';

test('a variable that is unset or empty takes the other value', (t) => {
  const { text, integer, oneOf, check } = environmentReader({ EMPTY: ' ' });
  t.is(text('EMPTY', 'a'), 'a');
  t.is(integer('UNSET', 3), 3);
  t.is(oneOf(['on', 'off'], 'UNSET', 'off'), 'off');
  t.notThrows(check);
});

test('values are read without the space around them', (t) => {
  const { text, integer, oneOf } = environmentReader({ TEXT: ' b ', COUNT: '0', SWITCH: 'on' });
  t.is(text('TEXT', 'a'), 'b');
  t.is(integer('COUNT', 3, 0), 0);
  t.is(oneOf(['on', 'off'], 'SWITCH', 'off'), 'on');
});

test('every variable that is wrong is named at once', (t) => {
  const { integer, oneOf, check } = environmentReader({ A: '0', B: '2147483648', C: 'two', D: 'maybe' });
  for (const name of ['A', 'B', 'C']) t.is(integer(name, 7), 7);
  oneOf(['on', 'off'], 'D', 'on');
  const error = t.throws(check, { instanceOf: DiffusionError });
  t.is(error.reason, 'SETTINGS_INVALID');
  t.deepEqual(
    error.violations.map(({ field }) => field),
    ['A', 'B', 'C', 'D'],
  );
});

test('an engine process gets every variable that tunes it [fault A25]', (t) => {
  const tuning = {
    ...{ IP_DIFFUSION_NATIVE_KERNELS: 'off', XLA_FLAGS: '--xla', GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' },
    ...{ LD_PRELOAD: 'jemalloc.so', ONEDNN_VERBOSE: '1', OMP_NUM_THREADS: '2', CUDA_CACHE_PATH: '/tmp' },
    ...{ NODE_EXTRA_CA_CERTS: 'ours.pem', SSL_CERT_FILE: 'ours.pem' },
  };
  t.like(engineEnvironment(tuning), tuning);
});

test('an engine process gets what tunes it, and no keys', (t) => {
  const engine = engineEnvironment({
    PATH: '/bin',
    TF_X: '1',
    IP_DIFFUSION_S3_SECRET_KEY: 'hidden',
    MALLOC_ARENA_MAX: '4',
  });
  t.like(engine, { PATH: '/bin', TF_X: '1', MALLOC_ARENA_MAX: '4' });
  t.false(Object.values(engine).includes('hidden'));
});
