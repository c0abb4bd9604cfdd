import test from 'ava';

import {
  anyText,
  count,
  DiffusionError,
  engineEnvironment,
  environmentReader,
  invalidArgument,
  onOff,
  setting,
  texts,
  violation,
} from '../../shared/foundation/index.js';

const TEXT = setting('TEXT', anyText('TEXT'), 'a text', { fallback: 'a' });
const COUNT = setting('COUNT', count(0), 'a number', { fallback: 3 });
const SWITCH = setting('SWITCH', onOff, 'a switch', { fallback: false });
const LIST = setting('LIST', texts('TEXT'), 'a list');

test('a variable that is unset or empty takes the other value', (t) => {
  const { value, peek, check } = environmentReader({ TEXT: ' ', COUNT: '-1' });
  t.is(value(TEXT), 'a');
  t.is(peek(TEXT), 'a');
  t.is(peek(COUNT), 3);
  t.is(value(SWITCH), false);
  t.is(value(LIST), undefined);
  t.notThrows(check);
});

test('values are read without the space around them', (t) => {
  const { value } = environmentReader({ TEXT: ' b ', COUNT: '0', SWITCH: 'on', LIST: 'a, ,b' });
  t.is(value(TEXT), 'b');
  t.is(value(COUNT), 0);
  t.is(value(SWITCH), true);
  t.deepEqual(value(LIST), ['a', 'b']);
});

test('every variable that is wrong is named at once, with what other readers of it refuse', (t) => {
  const { value, refuse, collect, check } = environmentReader({ COUNT: '2147483648', SWITCH: 'maybe' });
  t.is(value(COUNT), 3);
  value(SWITCH);
  refuse(TEXT, 'another text', 'b');
  const got = collect(() => {
    throw invalidArgument([violation('STORE', 'a store', 'x')]);
  });
  const error = t.throws(check, { instanceOf: DiffusionError });
  t.is(error.reason, 'SETTINGS_INVALID');
  t.deepEqual(
    error.violations.map(({ field }) => field),
    ['COUNT', 'SWITCH', 'TEXT', 'STORE'],
  );
  t.throws(got);
  t.is(collect(() => 7)(), 7);
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
