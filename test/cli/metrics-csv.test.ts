import { appendFile, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { trainerWire } from '../../shared/contract/index.js';
import { openMetricsCsv, readMetricsCsv } from '../../services/cli/metrics-csv.js';

async function freshPath(): Promise<string> {
  return join(await mkdtemp(join(tmpdir(), 'metrics-')), 'made', 'metrics.csv');
}

function metrics(step: number, loss = 1 / step): trainerWire.StepMetrics {
  return trainerWire.StepMetrics.fromPartial({
    step,
    totalSteps: 9,
    loss,
    remaining: { seconds: 2n, nanos: 5e8 },
  });
}

async function append(path: string, jobId: string, steps: readonly number[]): Promise<void> {
  const csv = await openMetricsCsv(path, jobId);
  for (const step of steps) await csv.append(metrics(step));
  await csv.close();
}

const stepsIn = async (path: string, jobId: string): Promise<(number | undefined)[]> =>
  (await readMetricsCsv(path, jobId)).map((row) => row.get('step'));

test('a row has a cell for every column, empty where a metric is unset', async (t) => {
  const path = await freshPath();
  await append(path, 'j', [1]);
  t.is(
    await readFile(path, 'utf8'),
    'job_id,step,total_steps,epoch,samples_seen,loss,mse,vlb,gradient_penalty,grad_norm,param_norm,learning_rate,gamma,' +
      'input_noise_variance,timesteps_weighted,images_per_second,remaining_seconds,evaluation_mse,evaluation_ema_mse,' +
      'energy_ratio,epsilon_norm_ratio,suggested_lambda\n' +
      'j,1,9,0,0,1,0,,,0,0,0,0,0,0,0,2.5,,,,,\n',
  );
});

test('metrics are read as they were written', async (t) => {
  const path = await freshPath();
  await append(path, 'j', [3]);
  const [row] = await readMetricsCsv(path, 'j');
  t.is(row?.get('loss'), 1 / 3);
  t.is(row?.get('vlb'), NaN);
});

test('steps that are there already are not written again', async (t) => {
  const path = await freshPath();
  await append(path, 'j', [1, 2, 3]);
  await append(path, 'j', [1, 2, 3, 4]);
  t.deepEqual(await stepsIn(path, 'j'), [1, 2, 3, 4]);
});

const exposure = {
  ...{ step: 2, images: 8, steps: 10, energyRatio: 0.9, epsilonNormRatio: 1.1 },
  ...{ suggestedLambda: 1.01, suggestedLambdaLow: 1, suggestedLambdaHigh: 1.02 },
};

test('an evaluation stands in the row that follows it, once', async (t) => {
  const path = await freshPath();
  for (let watch = 0; watch < 2; watch++) {
    const csv = await openMetricsCsv(path, 'j');
    await csv.append(metrics(1));
    csv.evaluated({ step: 2, mse: 0.5, emaMse: 0.25, images: 4, exposure });
    await csv.append(metrics(2));
    await csv.append(metrics(3));
    await csv.close();
  }
  t.deepEqual(
    (await readMetricsCsv(path, 'j')).map((row) => [
      row.get('evaluation_mse'),
      row.get('evaluation_ema_mse'),
      row.get('suggested_lambda'),
    ]),
    [
      [NaN, NaN, NaN],
      [0.5, 0.25, 1.01],
      [NaN, NaN, NaN],
    ],
  );
});

test('jobs share a file without touching each other', async (t) => {
  const path = await freshPath();
  await append(path, 'a', [1, 2]);
  await append(path, 'b', [1]);
  await append(path, 'a', [2, 3]);
  t.deepEqual(await stepsIn(path, 'a'), [1, 2, 3]);
  t.deepEqual(await stepsIn(path, 'b'), [1]);
});

test('a row that was cut off is written again', async (t) => {
  const path = await freshPath();
  await append(path, 'j', [1]);
  await appendFile(path, 'j,2,9,0');
  await append(path, 'j', [2]);
  t.deepEqual(await stepsIn(path, 'j'), [1, 2]);
});

test('a file that was cut off in its first line begins anew', async (t) => {
  const path = await freshPath();
  await append(path, 'j', []);
  await writeFile(path, 'job_id,st');
  await append(path, 'j', [1]);
  t.deepEqual(await stepsIn(path, 'j'), [1]);
});

test('a file with an older header gets the new columns, and its rows stay', async (t) => {
  const path = await freshPath();
  await append(path, 'j', []);
  await writeFile(path, 'job_id,step,loss,seconds_left\nj,1,0.5,7\nother,4,0.25,8\n');
  await append(path, 'j', [1, 2]);
  const [header, ...rows] = (await readFile(path, 'utf8')).trimEnd().split('\n');
  t.true(header?.startsWith('job_id,step,loss,seconds_left,total_steps,epoch,'));
  const commas = ','.repeat(header?.split(',').length ?? 0).slice(4);
  t.deepEqual(rows.slice(0, 2), [`j,1,0.5,7${commas}`, `other,4,0.25,8${commas}`]);
  const [first, second] = await readMetricsCsv(path, 'j');
  t.deepEqual([first?.get('loss'), first?.get('total_steps'), first?.get('seconds_left')], [0.5, NaN, 7]);
  t.deepEqual([second?.get('loss'), second?.get('total_steps'), second?.get('seconds_left')], [0.5, 9, NaN]);
});

test('a file with a newer header keeps it', async (t) => {
  const path = await freshPath();
  await append(path, 'j', [1]);
  const before = (await readFile(path, 'utf8')).split('\n');
  await writeFile(path, `${before[0] ?? ''},later\n${before[1] ?? ''},5\n`);
  await append(path, 'j', [2]);
  t.deepEqual(
    (await readMetricsCsv(path, 'j')).map((row) => [row.get('step'), row.get('later')]),
    [
      [1, 5],
      [2, NaN],
    ],
  );
});

test('an older file with an incomplete last row loses only that row', async (t) => {
  const path = await freshPath();
  await append(path, 'j', []);
  await writeFile(path, 'job_id,step,loss\nj,1,0.5\nj,2,0.');
  await append(path, 'j', [2]);
  t.deepEqual(
    (await readMetricsCsv(path, 'j')).map((row) => row.get('loss')),
    [0.5, 0.5],
  );
});

for (const content of ['step,loss\n1,2\n', 'no metrics at all', 'job_id,step\nj,x\n', 'job_id,step,a,a\n']) {
  test(`a file with ${JSON.stringify(content)} is not changed`, async (t) => {
    const path = await freshPath();
    await append(path, 'j', []);
    await writeFile(path, content);
    await t.throwsAsync(openMetricsCsv(path, 'j'), { code: 'FAILED_PRECONDITION' });
    t.is(await readFile(path, 'utf8'), content);
  });
}
