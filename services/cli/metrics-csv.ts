/** A job's metrics as a CSV file that grows with it. */

import { mkdir, open, readFile, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';

import { msFromDuration, type trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';

type Evaluation = trainerWire.Evaluation;
type Cell = (metrics: trainerWire.StepMetrics, evaluation?: Evaluation) => number | bigint | undefined;

/** In the order of the file; an undefined value is an empty cell. */
const COLUMNS: readonly (readonly [name: string, cell: Cell])[] = [
  ['step', ({ step }) => step],
  ['total_steps', ({ totalSteps }) => totalSteps],
  ['epoch', ({ epoch }) => epoch],
  ['samples_seen', ({ samplesSeen }) => samplesSeen],
  ['loss', ({ loss }) => loss],
  ['mse', ({ mse }) => mse],
  ['vb', ({ vlb }) => vlb],
  ['gradient_penalty', ({ gradientPenalty }) => gradientPenalty],
  ['grad_norm', ({ gradNorm }) => gradNorm],
  ['param_norm', ({ paramNorm }) => paramNorm],
  ['learning_rate', ({ learningRate }) => learningRate],
  ['gamma', ({ gamma }) => gamma],
  ['input_noise_variance', ({ inputNoiseVariance }) => inputNoiseVariance],
  ['images_per_second', ({ imagesPerSecond }) => imagesPerSecond],
  ['eta_seconds', ({ remaining }) => remaining && msFromDuration(remaining) / 1000],
  ['evaluation_mse', (_, evaluation) => evaluation?.mse],
  ['evaluation_ema_mse', (_, evaluation) => evaluation?.emaMse],
];

const HEADER = ['job_id', ...COLUMNS.map(([name]) => name)].join(',');

export interface MetricsCsv {
  readonly path: string;
  /** Adds a row, unless the file has this job's step already: watching again repeats a job's history. */
  append(metrics: trainerWire.StepMetrics): Promise<void>;
  /** Goes into the next row, which is that of its step where metrics of that step are told. */
  evaluated(evaluation: Evaluation): void;
  close(): Promise<void>;
}

/**
 * Opens a file to append to, or makes it; a row that was cut off by a killed process is removed.
 * @throws DiffusionError FAILED_PRECONDITION where the file is something else.
 */
export async function openMetricsCsv(path: string, jobId: string): Promise<MetricsCsv> {
  await mkdir(dirname(path), { recursive: true });
  let lastStep = await prepare(path, jobId);
  const file = await open(path, 'a');
  let evaluation: Evaluation | undefined;
  return {
    path,
    append: async (metrics) => {
      if (metrics.step <= lastStep) return;
      lastStep = metrics.step;
      const cells = COLUMNS.map(([, cell]) => cell(metrics, evaluation)?.toString() ?? '');
      evaluation = undefined;
      await file.appendFile(`${[jobId, ...cells].join(',')}\n`);
    },
    evaluated: (figures) => {
      if (figures.step > lastStep) evaluation = figures;
    },
    close: () => file.close(),
  };
}

/** The figures of one job in a file, by column name. Rows in the order of the file. */
export async function readMetricsCsv(path: string, jobId: string): Promise<Map<string, number>[]> {
  const [, ...rows] = (await readFile(path, 'utf8')).split('\n');
  return rows
    .map((row) => row.split(','))
    .filter(([id]) => id === jobId)
    .map(([, ...cells]) => new Map(COLUMNS.map(([name], index) => [name, numberIn(cells[index])])));
}

/** Leaves a file of whole rows and returns the job's last step in it. */
async function prepare(path: string, jobId: string): Promise<number> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const [header = '', ...rows] = whole.split('\n');
  if (whole === '' && HEADER.startsWith(text)) {
    const file = await open(path, 'w');
    await file.writeFile(`${HEADER}\n`);
    await file.close();
    return 0;
  }
  if (header !== HEADER) {
    throw new DiffusionError('FILE_NOT_USABLE', `${path} is not a file of metrics; it is left as it is`, {
      metadata: { remedy: 'name another file with --csv' },
    });
  }
  if (whole.length < text.length) await truncate(path, Buffer.byteLength(whole));
  const steps = rows
    .filter((row) => row.startsWith(`${jobId},`))
    .map((row) => Number(row.split(',')[1] ?? 0));
  return steps.reduce((last, step) => Math.max(last, step), 0);
}

function numberIn(cell: string | undefined): number {
  return cell === undefined || cell === '' ? NaN : Number(cell);
}
