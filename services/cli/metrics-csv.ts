/** A job's metrics as a CSV file that grows with it. */

import { mkdir, open, readFile, realpath, rename, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';

import { msFromDuration, type trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { lockFile } from './file-lock.js';

type Evaluation = trainerWire.Evaluation;
type Cell = (metrics: trainerWire.StepMetrics, evaluation?: Evaluation) => number | bigint | undefined;

/** In the order of a new file; an undefined value is an empty cell. */
const COLUMNS: ReadonlyMap<string, Cell> = new Map<string, Cell>([
  ['step', ({ step }) => step],
  ['total_steps', ({ totalSteps }) => totalSteps],
  ['epoch', ({ epoch }) => epoch],
  ['samples_seen', ({ samplesSeen }) => samplesSeen],
  ['loss', ({ loss }) => loss],
  ['mse', ({ mse }) => mse],
  ['vlb', ({ vlb }) => vlb],
  ['gradient_penalty', ({ gradientPenalty }) => gradientPenalty],
  ['grad_norm', ({ gradNorm }) => gradNorm],
  ['param_norm', ({ paramNorm }) => paramNorm],
  ['learning_rate', ({ learningRate }) => learningRate],
  ['gamma', ({ gamma }) => gamma],
  ['input_noise_variance', ({ inputNoiseVariance }) => inputNoiseVariance],
  ['timesteps_weighted', ({ timestepsWeighted }) => Number(timestepsWeighted)],
  ['images_per_second', ({ imagesPerSecond }) => imagesPerSecond],
  ['remaining_seconds', ({ remaining }) => remaining && msFromDuration(remaining) / 1000],
  ['evaluation_mse', (_, evaluation) => evaluation?.mse],
  ['evaluation_ema_mse', (_, evaluation) => evaluation?.emaMse],
  ['energy_ratio', (_, evaluation) => evaluation?.exposure?.energyRatio],
  ['epsilon_norm_ratio', (_, evaluation) => evaluation?.exposure?.epsilonNormRatio],
  ['suggested_lambda', (_, evaluation) => evaluation?.exposure?.suggestedLambda],
]);

/** The first columns of a metrics file: the job and the step of a row. */
const LEADING = ['job_id', 'step'];
const HEADER = ['job_id', ...COLUMNS.keys()];
const REMEDY = 'name another file with --csv';

export interface MetricsCsv {
  readonly path: string;
  /** Adds a row, unless the file has this job's step already: watching again repeats a job's history. */
  append(metrics: trainerWire.StepMetrics): Promise<void>;
  /** Is written with the next row, which has the same step where the trainer sends metrics of that step. */
  evaluated(evaluation: Evaluation): void;
  close(): Promise<void>;
}

/**
 * Opens a file to append to, or makes it, for this process only. A row that was cut off by a killed process is
 * removed. A file of another version keeps its columns, and gets those that it lacks.
 *
 * @throws DiffusionError FAILED_PRECONDITION where another process writes to the file, or it is no metrics file.
 */
export async function openMetricsCsv(path: string, jobId: string): Promise<MetricsCsv> {
  await mkdir(dirname(path), { recursive: true });
  // A link and the file that it leads to are one file with one lock.
  const unlock = await lockFile(await realpath(path).catch(() => path), REMEDY);
  try {
    const prepared = await prepare(path, jobId);
    const { columns } = prepared;
    let { lastStep } = prepared;
    const file = await open(path, 'a');
    let evaluation: Evaluation | undefined;
    return {
      path,
      append: async (metrics) => {
        if (metrics.step <= lastStep) return;
        lastStep = metrics.step;
        const [, ...names] = columns;
        const cells = names.map((name) => COLUMNS.get(name)?.(metrics, evaluation)?.toString() ?? '');
        evaluation = undefined;
        await file.appendFile(`${[jobId, ...cells].join(',')}\n`);
      },
      evaluated: (errors) => {
        if (errors.step > lastStep) evaluation = errors;
      },
      close: async () => {
        await file.close();
        await unlock();
      },
    };
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** The metrics of one job in a file, by column name; NaN for an empty cell. Rows in the order of the file. */
export async function readMetricsCsv(path: string, jobId: string): Promise<Map<string, number>[]> {
  const [header = '', ...rows] = (await readFile(path, 'utf8')).split('\n');
  const [, ...names] = header.split(',');
  return rows
    .map((row) => row.split(','))
    .filter(([id]) => id === jobId)
    .map(([, ...cells]) => new Map(names.map((name, index) => [name, numberIn(cells[index])])));
}

interface Prepared {
  /** Of the file. */
  readonly columns: readonly string[];
  /** The job's last step in it; 0 where it has none. */
  readonly lastStep: number;
}

/** Prepares a file: it then has whole rows only, and every column. */
async function prepare(path: string, jobId: string): Promise<Prepared> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole === '' && HEADER.join(',').startsWith(text)) {
    await replace(path, `${HEADER.join(',')}\n`);
    return { columns: HEADER, lastStep: 0 };
  }
  const [header = '', ...rows] = whole.split('\n').slice(0, -1);
  const columns = header.split(',');
  const steps = rows.map((row) => row.split(',')).map(([id, step = '']) => ({ id, step }));
  if (!isHeader(columns) || steps.some(({ step }) => !/^\d+$/.test(step))) {
    throw new DiffusionError('FILE_NOT_USABLE', `${path} is not a metrics file; nothing was written to it`, {
      metadata: { remedy: REMEDY },
    });
  }
  const missing = HEADER.filter((name) => !columns.includes(name));
  if (missing.length > 0) {
    const widened = [[header, ...missing], ...rows.map((row) => [row, ...missing.map(() => '')])];
    await replace(path, widened.map((cells) => `${cells.join(',')}\n`).join(''));
  } else if (whole.length < text.length) await truncate(path, Buffer.byteLength(whole));
  // Not by Math.max over all: a long job has more rows than a call takes arguments.
  const lastStep = steps.reduce(
    (last, { id, step }) => (id === jobId ? Math.max(last, Number(step)) : last),
    0,
  );
  return { columns: [...columns, ...missing], lastStep };
}

function isHeader(columns: readonly string[]): boolean {
  return (
    LEADING.every((name, index) => columns[index] === name) &&
    columns.every((name) => /^[a-z][a-z0-9_]*$/.test(name)) &&
    new Set(columns).size === columns.length
  );
}

/** Writes a file whole: a reader finds the old text or the new one, also after a crash. */
async function replace(path: string, text: string): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const file = await open(`${target}.new`, 'w');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${target}.new`, target);
}

function numberIn(cell: string | undefined): number {
  return cell === undefined || cell === '' ? NaN : Number(cell);
}
