/** The rules of the soak run, on histories that are good and on ones that each violate one rule. */

import test from 'ava';

import { RULES, violationsOf } from './check-history.js';
import { TRAINER_STOPPED } from './history-outcomes.js';
import type { Entry, Happening, SeenEvent } from './history.js';

const metrics = (step: number, dropped = 0): SeenEvent => ({
  ...{ kind: 'metrics', step, dropped },
  loss: 1 / step,
});
const state = (name: string, message = ''): SeenEvent => ({ kind: 'state', state: name, message });
const snapshot = (checkpointStep = 0): SeenEvent => ({ kind: 'snapshot', checkpointStep, truncated: false });
const checkpoint = (step: number): SeenEvent => ({ kind: 'checkpoint', step });
const terminal = (name = 'SUCCEEDED', step = 4): SeenEvent => ({
  ...{ kind: 'terminal', state: name, step },
  checkpointStep: step,
});

type Seen = readonly [position: string, event: SeenEvent];

/** What a watcher of the whole job sees whose engine was killed after step 3. */
const WHOLE: readonly Seen[] = [
  ['0.0', snapshot()],
  ['1.1', state('PENDING')],
  ['1.2', state('RUNNING', 'the engine starts')],
  ['1.3', state('RUNNING', 'training begins on 12 images')],
  ['1.4', metrics(1)],
  ['1.5', metrics(2)],
  ['1.6', checkpoint(2)],
  ['1.7', metrics(3)],
  ['2.1', state('RETRYING', 'the engine process was killed')],
  ['2.2', state('RUNNING', 'the engine starts')],
  ['2.3', state('RUNNING', 'training resumes after step 2 on 12 images')],
  ['2.4', metrics(3)],
  ['2.5', metrics(4)],
  ['2.6', checkpoint(4)],
  ['2.7', terminal()],
];

let watches = 0;

function watch(seen: readonly Seen[], { job = 'b', after = '', code = 'OK' } = {}): Happening[] {
  const number = watches++;
  return [
    { kind: 'watch', watch: number, job, after },
    ...seen.map(([position, event]) => ({ kind: 'message' as const, watch: number, position, event })),
    { kind: 'watch ended', watch: number, code },
  ];
}

const job = (name: string, straight = false): Happening => ({
  ...{ kind: 'job', job: name, recipe: 'plain', straight },
  requestId: `request of ${name}`,
});

function read(name: string, steps: readonly number[], since = 0): Happening[] {
  return [
    { kind: 'listed', job: name, steps, since },
    ...steps.map((step) => ({ kind: 'checkpoint' as const, job: name, step, sha256: `bytes of ${step}` })),
  ];
}

const STRAIGHT: readonly Happening[] = [
  job('a', true),
  ...watch([WHOLE[0] ?? ['', snapshot()], ['1.9', terminal()]], { job: 'a' }),
  ...read('a', [2, 4]),
];

const entries = (happenings: readonly Happening[]): Entry[] =>
  happenings.map((happening, atMs) => ({ atMs, ...happening }));

/** A straight job, and another one of its recipe with these watches and checkpoints. */
function historyOf(
  seen: readonly Happening[],
  after: readonly Happening[] = read('b', [2, 4]),
  before: readonly Happening[] = STRAIGHT,
): Entry[] {
  return entries([...before, job('b'), ...seen, ...after]);
}

/** All messages but those at these positions. */
const without = (...positions: string[]): Seen[] =>
  WHOLE.filter(([position]) => !positions.includes(position));

const replaced = (position: string, event: SeenEvent): Seen[] =>
  WHOLE.map((each) => (each[0] === position ? [position, event] : each));

test('a survived run violates nothing', (t) => {
  t.deepEqual(violationsOf(historyOf(watch(WHOLE))), []);
});

test('nor does a watcher that was cut off and continues, or one that was told of what it missed', (t) => {
  const cut = watch(WHOLE.slice(0, 7), { code: 'UNAVAILABLE' });
  const rest = watch([['1.6', snapshot(2)], ...WHOLE.slice(7)], { after: '1.6' });
  t.deepEqual(violationsOf(historyOf([...cut, ...rest])), []);
  const slow = replaced('1.5', metrics(2, 1)).filter(([position]) => position !== '1.4');
  t.deepEqual(violationsOf(historyOf([...watch(slow), ...watch(WHOLE)])), []);
});

test('a call that may be tried again, a service that was killed on purpose and a cancelled job are no violation', (t) => {
  const cancelled = replaced('2.7', terminal('CANCELLED'));
  t.deepEqual(
    violationsOf(
      historyOf([
        { kind: 'cancelled', job: 'b' },
        ...watch(cancelled),
        { kind: 'call', method: 'Generate', code: 'UNAVAILABLE' },
        { kind: 'exit', service: 'trainer', how: 'SIGKILL', wanted: 'SIGKILL' },
        { kind: 'rotation', service: 'trainer', seen: true },
        { kind: 'image', of: 'one', sha256: 'x' },
        { kind: 'image', of: 'another', sha256: 'y' },
      ]),
    ),
    [],
  );
});

test('nor is a call for a model that is being deleted, which is one before that', (t) => {
  const deleting: Happening = { kind: 'deleting', model: 'm' };
  const gone: Happening = {
    ...{ kind: 'call', method: 'Generate', model: 'm', code: 'NOT_FOUND', reason: 'MODEL_NOT_FOUND' },
  };
  t.deepEqual(violationsOf(historyOf([...watch(WHOLE), deleting, gone])), []);
  t.is(violationsOf(historyOf([...watch(WHOLE), gone, deleting])).length, 1);
  t.is(violationsOf(historyOf([...watch(WHOLE), deleting, { ...gone, model: 'another' }])).length, 1);
  t.is(violationsOf(historyOf([...watch(WHOLE), deleting, { ...gone, reason: 'INTERNAL' }])).length, 1);
});

test('nor is a checkpoint with which a trainer stopped; one that is missing, or that nobody asked for, is one', (t) => {
  const stopped: Happening = { kind: 'fault', fault: TRAINER_STOPPED, detail: '' };
  t.deepEqual(violationsOf(historyOf([...watch(WHOLE), stopped], read('b', [2, 3, 4]))), []);
  t.is(violationsOf(historyOf(watch(WHOLE), read('b', [2, 3, 4]))).length, 1);
  t.is(violationsOf(historyOf([...watch(WHOLE), stopped], read('b', [1, 2, 3, 4]))).length, 1);
  const missing = violationsOf(historyOf([...watch(WHOLE), stopped], read('b', [3, 4])));
  t.true(missing.some(({ rule }) => rule === 'the survived run is, byte for byte, the straight one'));
});

/** For each rule a history that violates it, and it alone. */
const BAD: Readonly<Record<keyof typeof RULES, Entry[]>> = {
  'a watch begins with a snapshot': historyOf([...watch(without('0.0')), ...watch(WHOLE)]),
  'positions rise': historyOf(watch(WHOLE.flatMap((each) => (each[0] === '1.6' ? [each, each] : [each])))),
  'no gap that is not announced': historyOf(watch(without('1.6'))),
  'steps rise': historyOf(watch(replaced('2.4', metrics(2)))),
  'exactly one terminal event, as the last one': historyOf([...watch(without('2.7')), ...watch(WHOLE)]),
  'a position is one event, whoever reads it': historyOf(
    [...watch(WHOLE), ...watch(replaced('1.6', checkpoint(1)), { code: 'OK' })],
    read('b', [1, 2, 4]),
    [...STRAIGHT.slice(0, -3), ...read('a', [1, 2, 4])],
  ),
  'one request, one job': historyOf([
    ...watch(WHOLE),
    { kind: 'job', job: 'a', recipe: 'plain', requestId: 'request of b', straight: true },
  ]),
  'every job ends, and in one way': historyOf(watch(replaced('2.7', terminal('FAILED')))),
  'a step has one loss': historyOf(
    watch(replaced('2.5', { kind: 'metrics', step: 4, dropped: 0, loss: 7 })),
    read('b', [2, 4]),
    [
      ...STRAIGHT,
      ...watch(
        [
          ['0.0', snapshot()],
          ['1.1', metrics(4)],
        ],
        { job: 'a', code: 'CANCELLED' },
      ),
    ],
  ),
  'nothing that was committed is lost': historyOf(watch(WHOLE), read('b', [4], 1000), [
    ...STRAIGHT.slice(0, -3),
    ...read('a', [4]),
  ]),
  'every committed checkpoint can be read': historyOf([
    ...watch(WHOLE),
    { kind: 'unreadable', job: 'b', step: 2, problem: 'a hash differs' },
  ]),
  'the survived run is, byte for byte, the straight one': historyOf(watch(WHOLE), [
    { kind: 'listed', job: 'b', steps: [2, 4], since: 0 },
    { kind: 'checkpoint', job: 'b', step: 2, sha256: 'bytes of 2' },
    { kind: 'checkpoint', job: 'b', step: 4, sha256: 'other bytes' },
  ]),
  'an image has the same bytes whenever it is sampled': historyOf([
    ...watch(WHOLE),
    { kind: 'image', of: 'one', sha256: 'x' },
    { kind: 'image', of: 'one', sha256: 'y' },
  ]),
  'a call that fails says that it may be tried again': historyOf([
    ...watch(WHOLE),
    { kind: 'call', method: 'Generate', code: 'INTERNAL' },
  ]),
  'a service ends only when it is asked to': historyOf([
    ...watch(WHOLE),
    { kind: 'exit', service: 'trainer', how: 1, wanted: undefined },
  ]),
  'a new certificate is shown': historyOf([
    ...watch(WHOLE),
    { kind: 'rotation', service: 'sampler', seen: false },
  ]),
  'no process outlives its service': historyOf([...watch(WHOLE), { kind: 'orphan', command: 'an engine' }]),
};

for (const [rule, history] of Object.entries(BAD)) {
  test(`violated: ${rule}`, (t) => {
    const rules = new Set(violationsOf(history).map((violation) => violation.rule));
    t.deepEqual([...rules], [rule]);
  });
}
