import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import test from 'ava';

import { readMetricsCsv } from '../../services/cli/metrics-csv.js';
import { trainerWire } from '../../shared/contract/index.js';
import { JOB } from './fake-service.js';
import { fakeTrainer, type WatchEvent } from './fake-trainer.js';
import { run } from './sinks.js';
import { programArguments } from '../programs.js';

const MAIN = programArguments(import.meta.url, '../../services/cli/main');

const snapshot: WatchEvent = { $case: 'snapshot', value: { job: JOB, historyTruncated: false } };
const step = (n: number): WatchEvent => ({
  $case: 'stepMetrics',
  value: trainerWire.StepMetrics.fromPartial({ step: n, totalSteps: 3 }),
});
const ended: WatchEvent = {
  $case: 'terminal',
  value: { ...JOB, state: trainerWire.JobState.JOB_STATE_SUCCEEDED },
};

test('a second watch with the same metrics file is refused by name, until the first one has ended', async (t) => {
  const { address } = await fakeTrainer(t, [
    [snapshot, step(1), step(2), 'hang'],
    [snapshot, step(1), step(2), step(3), ended],
    [snapshot, step(1), step(2), step(3), ended],
  ]);
  const folder = await mkdtemp(join(tmpdir(), 'csv-'));
  const csv = join(folder, 'metrics.csv');
  const words = ['watch', 'job-1', '--address', address, '--csv', csv];

  const first = spawn(process.execPath, [...MAIN, ...words], { stdio: 'ignore' });
  const exited = once(first, 'exit');
  while (!(await hasSteps(csv, [1, 2]))) await pause(20);

  const refused = await run(words);
  t.is(refused.exitCode, 1);
  t.true(refused.err.includes(`process ${first.pid ?? 0} is writing to ${csv}`), refused.err);
  t.regex(refused.err, /name another file with --csv/);

  first.kill('SIGKILL');
  await exited;
  // The lock of the killed process shows that it has ended.
  await t.notThrowsAsync(access(`${csv}.lock`));
  t.is((await run(words)).exitCode, 0);
  t.true(await hasSteps(csv, [1, 2, 3]));
  t.deepEqual(await readdir(folder), ['metrics.csv']);
});

test('a lock file without a process is not removed, and the error names it', async (t) => {
  const { address, watched } = await fakeTrainer(t, [[snapshot, ended]]);
  const folder = await mkdtemp(join(tmpdir(), 'csv-'));
  const csv = join(folder, 'metrics.csv');
  await writeFile(`${csv}.lock`, '');
  const { exitCode, err } = await run(['watch', 'job-1', '--address', address, '--csv', csv]);
  t.is(exitCode, 1);
  t.true(err.includes(`another process is writing to ${csv}`), err);
  t.true(err.includes(`remove ${csv}.lock`), err);
  t.deepEqual(await readdir(folder), ['metrics.csv.lock']);
  t.deepEqual(watched, []);
});

async function hasSteps(csv: string, steps: readonly number[]): Promise<boolean> {
  const rows = await readMetricsCsv(csv, 'job-1').catch(() => []);
  return String(rows.map((row) => row.get('step'))) === String(steps);
}
