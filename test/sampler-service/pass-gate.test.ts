import { setImmediate } from 'node:timers/promises';

import test from 'ava';

import { passGates, type PassGate } from '../../services/sampler/pass-gate.js';
import { stepBatcher } from '../../services/sampler/step-batcher.js';
import { UNCONDITIONAL, type NetworkRow } from '../../shared/sampler/index.js';
import { ownerOf } from './owners.js';

function fixture() {
  let nowMs = 1000;
  const gates = passGates({ wallMs: () => 0, monotonicMs: () => nowMs });
  return {
    gates,
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

/** A class that has had nothing yet has its turn first. */
function hadItsTurn(gate: PassGate): void {
  for (const priority of ['batch', 'normal'] as const) gate.begin(priority, 16)();
}

test('a pass waits while another model computes for a higher class, and a moment longer', (t) => {
  const { gates, pass } = fixture();
  const [a, b] = [gates.join(), gates.join()];
  t.true(a.mayBegin('batch'));
  hadItsTurn(a);
  const end = b.begin('interactive', 4);
  t.false(a.mayBegin('batch'));
  t.false(a.mayBegin('normal'));
  t.true(a.mayBegin('interactive'));
  pass(30);
  end();
  pass(49);
  t.false(a.mayBegin('batch'), 'its solvers compute');
  pass(1);
  t.true(a.mayBegin('batch'));
});

test('passes of one class, of a lower one and of the same model hold up nothing', (t) => {
  const { gates } = fixture();
  const [a, b] = [gates.join(), gates.join()];
  a.begin('batch', 16);
  t.true(b.mayBegin('batch'));
  t.true(b.mayBegin('interactive'));
  b.begin('interactive', 1);
  t.true(b.mayBegin('batch'), 'a model gives its own passes their turns itself');
});

test('a class below gets its part although another model always computes for a higher one', (t) => {
  const { gates, pass } = fixture();
  const [a, b] = [gates.join(), gates.join()];
  let batch = 0;
  let interactive = 0;
  for (let i = 0; i < 1700; i++) {
    pass(10);
    const end = b.begin('interactive', 16);
    interactive += 1;
    if (a.mayBegin('batch')) {
      batch += 1;
      a.begin('batch', 16)();
    }
    end();
  }
  t.true(Math.abs(batch / interactive - 1 / 16) < 0.01, `${batch} beside ${interactive}`);
});

test('an engine that hangs, and a model that is gone, hold up nobody for long', (t) => {
  const { gates, pass } = fixture();
  const [a, b] = [gates.join(), gates.join()];
  hadItsTurn(a);
  b.begin('interactive', 4);
  pass(4999);
  t.false(a.mayBegin('batch'));
  pass(1);
  t.true(a.mayBegin('batch'));
  b.begin('interactive', 4);
  t.false(a.mayBegin('batch'));
  gates.leave(b);
  t.true(a.mayBegin('batch'));
});

test('a row that comes while a pass waits for other models joins it', async (t) => {
  const passes: number[] = [];
  let open = false;
  const predict = stepBatcher(
    (rows: readonly NetworkRow[]) => {
      passes.push(rows.length);
      return Promise.resolve(rows.map(({ xT }) => xT));
    },
    [4],
    { mayBegin: () => open, begin: () => () => undefined },
  );
  const row = { xT: Float32Array.of(0), t: 1, y: UNCONDITIONAL };
  const options = { owner: ownerOf(), signal: new AbortController().signal };
  const first = predict(row, options);
  for (let turn = 0; turn < 10; turn++) await setImmediate();
  t.deepEqual(passes, []);
  const second = predict(row, options);
  open = true;
  await Promise.all([first, second]);
  t.deepEqual(passes, [2]);
});
