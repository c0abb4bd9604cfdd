/** Follows a job on the terminal: progress, sample grids and metrics as they come. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { ImageAssembly, trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import type { Context, ExitCode } from './command.js';
import type { TrainerClient } from './connect.js';
import { metricsFacts, stateOf } from './describe-job.js';
import { formatBytes, formatCount, formatNumber, paddedStep } from './format.js';
import { openMetricsCsv, type MetricsCsv } from './metrics-csv.js';
import type { ProgressState } from './progress.js';
import { watchJob } from './watch-job.js';

export interface FollowOptions {
  /** The file for the metrics; none is written where it is undefined. */
  readonly csvPath?: string | undefined;
  /** The folder for the sample grids; none are saved where it is undefined. */
  readonly gridFolder?: string | undefined;
  /** Follows from here; from the beginning of what is kept where it is undefined. */
  readonly after?: string | undefined;
  /** The progress that metrics show. */
  readonly describe?: (metrics: trainerWire.StepMetrics) => ProgressState;
  /** Which events are printed as lines; all where it is undefined. */
  readonly prints?: (event: JobEvent) => boolean;
  /** Called with each event once it is shown and saved. */
  readonly onEvent?: (event: JobEvent, position: string) => Promise<void> | void;
}

export type JobEvent = NonNullable<trainerWire.WatchTrainingJobResponse['event']>;

/**
 * Shows a job's events until it ends and returns it as it ended.
 * @throws DiffusionError as `watchJob` does.
 */
export async function followJob(
  client: TrainerClient,
  jobId: string,
  options: FollowOptions,
  { terminal, signal }: Pick<Context, 'terminal' | 'signal'>,
): Promise<trainerWire.TrainingJob> {
  const { csvPath, gridFolder, after, describe = describeMetrics, prints = () => true, onEvent } = options;
  const csv = csvPath === undefined ? undefined : await openMetricsCsv(csvPath, jobId);
  const progress = terminal.progress();
  const onDisconnect = (): void => {
    terminal.print('lost the connection to the trainer; reconnecting');
  };
  try {
    for await (const { position, event } of watchJob(client, jobId, { after, signal, onDisconnect })) {
      if (event === undefined) continue;
      if (event.$case === 'stepMetrics') progress.update(describe(event.value));
      const shown = await take(event, { csv, gridFolder });
      terminal.emit({ event: event.$case, position, ...shown.json });
      if (prints(event)) for (const line of shown.lines) terminal.print(line);
      await onEvent?.(event, position);
      if (event.$case === 'terminal') return event.value;
    }
  } finally {
    progress.end();
    await csv?.close();
  }
  throw new DiffusionError(
    'SERVICE_UNREACHABLE',
    'the trainer ended the watch before the job ended; run the same command again',
  );
}

/** The exit code that an ended job means. */
export function exitCodeOf({ state }: trainerWire.TrainingJob): ExitCode {
  return state === trainerWire.JobState.JOB_STATE_SUCCEEDED ? 0 : 1;
}

interface Shown {
  readonly json: object;
  readonly lines: readonly string[];
}

async function take(
  event: JobEvent,
  { csv, gridFolder }: { csv: MetricsCsv | undefined; gridFolder: string | undefined },
): Promise<Shown> {
  switch (event.$case) {
    case 'snapshot': {
      const { job, historyTruncated } = event.value;
      return {
        json: asJson(trainerWire.WatchTrainingJobResponse_Snapshot.toJSON(event.value)),
        lines: [
          ...(job === undefined ? [] : [`job ${job.jobId} of model ${job.model}: ${stateOf(job)}`]),
          ...(historyTruncated ? ['its oldest events are no longer stored'] : []),
        ],
      };
    }
    case 'stepMetrics':
      await csv?.append(event.value);
      return { json: asJson(trainerWire.StepMetrics.toJSON(event.value)), lines: [] };
    case 'sampleGrid': {
      const file = await saveGrid(event.value, gridFolder);
      return {
        json: { step: event.value.step, file },
        lines: file === undefined ? [] : [`step ${formatCount(event.value.step)}: samples in ${file}`],
      };
    }
    case 'checkpointCommitted': {
      const { step, sizeBytes } = event.value;
      return {
        json: asJson(trainerWire.CheckpointCommitted.toJSON(event.value)),
        lines: [`step ${formatCount(step)}: checkpoint committed (${formatBytes(Number(sizeBytes))})`],
      };
    }
    case 'evaluation': {
      const { step, mse, emaMse } = event.value;
      csv?.evaluated(event.value);
      return {
        json: asJson(trainerWire.Evaluation.toJSON(event.value)),
        lines: [
          `step ${formatCount(step)}: unperturbed MSE on held-out images ${formatNumber(mse)}, with EMA weights ${formatNumber(emaMse)}`,
          ...exposureLines(event.value),
        ],
      };
    }
    case 'stateChanged':
      return {
        json: asJson(trainerWire.StateChanged.toJSON(event.value)),
        lines: [describeState(event.value)],
      };
    case 'storeReport':
      return {
        json: asJson(trainerWire.StoreReport.toJSON(event.value)),
        lines: [describeStore(event.value)],
      };
    case 'terminal':
      return {
        json: asJson(trainerWire.TrainingJob.toJSON(event.value)),
        lines: [describeState(event.value)],
      };
  }
}

function describeState(state: Pick<trainerWire.StateChanged, 'state' | 'failureReason' | 'message'>): string {
  return stateOf(state) + (state.message === '' ? '' : `: ${state.message}`);
}

function describeStore({ message, spilledBytes, spillLimitBytes }: trainerWire.StoreReport): string {
  if (spilledBytes === 0n) return message;
  const [bytes, limit] = [spilledBytes, spillLimitBytes].map((value) => formatBytes(Number(value)));
  return `${message} (${bytes} of ${limit} in the spill folder)`;
}

async function saveGrid(
  { step, image }: trainerWire.SampleGrid,
  folder: string | undefined,
): Promise<string | undefined> {
  const bytes = image && new ImageAssembly().add(image);
  if (folder === undefined || bytes === undefined) return undefined;
  await mkdir(folder, { recursive: true });
  const file = join(folder, `step-${paddedStep(step)}.png`);
  await writeFile(file, bytes);
  return file;
}

function describeMetrics(metrics: trainerWire.StepMetrics): ProgressState {
  const { step, totalSteps } = metrics;
  const share = totalSteps === 0 ? 0 : step / totalSteps;
  return { label: 'training', share, facts: metricsFacts(metrics) };
}

// The generated `toJSON` has the type `unknown`; a message's JSON is an object.
function asJson(value: unknown): object {
  return value as object;
}

function exposureLines({ step, exposure }: trainerWire.Evaluation): string[] {
  if (exposure === undefined) return [];
  const { energyRatio, epsilonNormRatio, suggestedLambda } = exposure;
  const facts = [
    `energy of samples ${formatNumber(energyRatio)} of that of images`,
    `norm of epsilon ${formatNumber(epsilonNormRatio)}`,
    `as an epsilon scaling ${suggestedLambda.toFixed(4)}`,
  ];
  return [`step ${formatCount(step)}: exposure bias: ${facts.join(', ')}`];
}
