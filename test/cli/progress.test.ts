import test from 'ava';

import { formatBytes, formatDuration, formatNumber, table } from '../../services/cli/format.js';
import { stageProgress } from '../../services/cli/measure/stage-progress.js';
import { createProgress, progressLine } from '../../services/cli/progress.js';
import { createTerminal } from '../../services/cli/terminal.js';
import { memory, stoppedClock } from './sinks.js';

const state = (share: number): Parameters<typeof progressLine>[0] => ({
  label: 'training',
  share,
  facts: ['step 1/2'],
});

test('a line has label, percentage and facts', (t) => {
  t.is(
    progressLine({ label: 'training', share: 0.456, facts: ['step 5', 'loss 0.1'] }),
    'training 45 % · step 5 · loss 0.1',
  );
  t.is(progressLine({ label: 'loading', facts: [] }), 'loading');
});

test('without a terminal a line is printed every five seconds, and a last one at the end', (t) => {
  const [out, clock] = [memory(), stoppedClock()];
  const progress = createProgress(out, clock);
  for (const [nowMs, share] of [
    [0, 0],
    [4999, 0.1],
    [5000, 0.2],
    [6000, 0.3],
  ] as const) {
    clock.nowMs = nowMs;
    progress.update(state(share));
  }
  progress.note('a note');
  progress.end();
  progress.end();
  t.is(out.text(), 'training 0 % · step 1/2\ntraining 20 % · step 1/2\na note\ntraining 30 % · step 1/2\n');
});

test('a stage of a measurement says what is left of it, by its own speed', (t) => {
  const [out, clock] = [memory(), stoppedClock()];
  const terminal = createTerminal({ out, err: memory(), json: false, colours: false, clock });
  const progress = stageProgress({ terminal, clock });
  for (const [nowMs, stage, share] of [
    [0, 'loading', undefined],
    [10_000, 'sampling', 0.2],
    [20_000, 'sampling', 0.4],
    [30_000, 'comparing', 0.1],
    [40_000, 'comparing', 0.3],
  ] as const) {
    clock.nowMs = nowMs;
    progress.update(stage, share);
  }
  progress.end();
  t.deepEqual(out.text().trim().split('\n'), [
    'loading',
    'sampling 20 %',
    'sampling 40 % · 30 s left',
    'comparing 10 %',
    'comparing 30 % · 35 s left',
  ]);
});

test('on a terminal the line is redrawn, and notes stay above it', (t) => {
  const [out, clock] = [memory(true, 40), stoppedClock()];
  const progress = createProgress(out, clock);
  progress.update(state(0));
  progress.note('a note');
  clock.nowMs = 99;
  progress.update(state(0.3));
  clock.nowMs = 100;
  progress.update(state(0.5));
  progress.end();
  t.deepEqual(out.text().split('\r\u001b[K'), [
    '',
    `${'░'.repeat(15)} training 0 % · step 1/2`,
    'a note\n',
    `${'░'.repeat(15)} training 0 % · step 1/2`,
    `${'█'.repeat(7)}${'░'.repeat(7)} training 50 % · step 1/2`,
    `${'█'.repeat(7)}${'░'.repeat(7)} training 50 % · step 1/2\n`,
  ]);
});

for (const [columns, width] of [
  [200, 24],
  [60, 19],
  [20, 4],
  [1, 0],
] as const) {
  test(`on ${columns} columns the bar has ${width}, and the line ends before the last column`, (t) => {
    const out = memory(true, columns);
    createProgress(out, stoppedClock()).update({
      label: 'sampling',
      share: 1,
      facts: ['some facts: ' + '-'.repeat(10)],
    });
    const [, line = ''] = out.text().split('\u001b[K');
    t.true(line.length < columns);
    t.is(/^█*/.exec(line)?.[0].length, width);
  });
}

test('nothing is written where there was no progress', (t) => {
  for (const isTTY of [true, false]) {
    const out = memory(isTTY);
    const progress = createProgress(out, stoppedClock());
    progress.end();
    t.is(out.text(), '');
  }
});

test('durations, sizes and numbers are short', (t) => {
  t.deepEqual([0, 999, 1000, 59_600, 245_000, 7_800_000, 200_000_000].map(formatDuration), [
    '0 ms',
    '999 ms',
    '1 s',
    '1 min 00 s',
    '4 min 05 s',
    '2 h 10 min',
    '2 days 8 h',
  ]);
  t.deepEqual([0, 999, 1500, 15e6, 2.5e9].map(formatBytes), ['0 B', '999 B', '1.5 kB', '15 MB', '2.5 GB']);
  t.deepEqual([0, 0.08123, 12.345, 54321, 0.00001234, NaN].map(formatNumber), [
    '0',
    '0.0812',
    '12.3',
    '54,321',
    '1.23e-5',
    'NaN',
  ]);
});

test('the columns of a table are aligned', (t) => {
  t.deepEqual(
    table([
      ['a', 'bb', 'c'],
      ['aaa', 'b', 'c'],
    ]),
    ['a    bb  c', 'aaa  b   c'],
  );
});
