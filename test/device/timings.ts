/** Training and sampling on a device, beside PyTorch on the same one, in turns. */
import { join } from 'node:path';

import { quantile, rounded } from '../bench/table.js';
import { startWorker } from '../bench/worker-process.js';
import type { Worker } from '../bench/worker-process.js';
import type { TimedNetwork } from './packed.js';

interface Work extends TimedNetwork {
  readonly work: 'train' | 'predict';
  readonly precision: 'float32' | 'bfloat16';
  readonly batch: number;
}

export interface Setting {
  /** The pack. */
  readonly folder: string;
  readonly plugin: string;
  readonly device: string;
  readonly cacheFolder: string;
  /** The Python that has PyTorch; absent, the engine is timed alone. */
  readonly python: string | undefined;
}

type Row = Readonly<Record<string, string | number>>;

const ROUNDS = 5;
const RUNS = 5;

/** Training before sampling, larger networks before smaller ones: what comes last may be left out. */
export function worksOf(networks: readonly TimedNetwork[]): Work[] {
  return networks.flatMap((network) =>
    (['train', 'predict'] as const).flatMap((work) =>
      (['bfloat16', 'float32'] as const).map((precision) => ({
        ...network,
        ...{ work, precision, batch: work === 'train' ? network.trainBatch : network.sampleBatch },
      })),
    ),
  );
}

/** @param endsAt By `performance.now`: what isn't ready then is ended and left out. */
export async function timings(
  works: readonly Work[],
  setting: Setting,
  endsAt: number,
  say: (line: string) => void,
): Promise<{ readonly rows: readonly Row[]; readonly leftOut: readonly string[] }> {
  const rows: Row[] = [];
  const leftOut: string[] = [];
  for (const work of works) {
    const title = `${work.work} ${work.name}, batch ${work.batch}, ${work.precision}`;
    const leftMs = endsAt - performance.now();
    if (leftMs <= 0) {
      leftOut.push(`${title}: no time left`);
      continue;
    }
    say(title);
    const signal = AbortSignal.timeout(Math.ceil(leftMs));
    // They compile at the same time, and are timed one after another.
    const started = await Promise.allSettled(
      commandsOf(work, setting).map(([name, command]) => startWorker(name, command, setting.folder, signal)),
    );
    const workers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    for (const each of started)
      if (each.status === 'rejected') leftOut.push(`${title}: ${String(each.reason)}`);
    try {
      rows.push(...(await timed(title, work, workers)));
    } catch (error) {
      leftOut.push(`${title}: ${String(error)}`);
    }
  }
  return { rows, leftOut };
}

async function timed(title: string, { batch }: Work, workers: readonly Worker[]): Promise<Row[]> {
  const times = new Map<Worker, number[]>(workers.map((worker) => [worker, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const worker of workers) times.get(worker)?.push(...(await worker.time(RUNS)));
  const medians = workers.map((worker) =>
    quantile(
      (times.get(worker) ?? []).sort((a, b) => a - b),
      0.5,
    ),
  );
  const best = Math.min(...medians.filter((_, i) => workers[i]?.name.startsWith('pytorch') === true));
  const rows: Row[] = [];
  for (const [i, worker] of workers.entries()) {
    const ms = medians[i] ?? Number.NaN;
    // PyTorch's workers don't say.
    const { firstStepMs } = worker.ready;
    const { peakMb, peakDeviceMb } = await worker.end();
    rows.push({
      ...{
        work: title,
        of: worker.name,
        'median ms': rounded(ms, 2),
        'images/s': rounded((1000 * batch) / ms),
      },
      ...(Number.isFinite(best) && { 'to best PyTorch': rounded(ms / best, 3) }),
      'host MiB': Math.round(peakMb),
      ...(peakDeviceMb !== undefined && { 'device MiB': Math.round(peakDeviceMb) }),
      ...(firstStepMs !== undefined && { 'first step s': rounded(firstStepMs / 1000) }),
    });
  }
  return rows;
}

/** float32 may be of TF32 on both sides. */
function commandsOf(work: Work, { folder, plugin, device, cacheFolder, python }: Setting) {
  const task = { ...work, device: device === 'cuda' ? 'cuda' : 'cpu', tf32: true };
  const ours = { ...task, engine: 'pjrt', pjrt: { plugin, device, tf32: true, cacheFolder } };
  const peer = (options: object): string[] => [
    ...[python ?? '', '-B', 'worker.py'],
    JSON.stringify({ ...task, compile: true, ...options }),
  ];
  const engine = [process.execPath, join(folder, 'engine-worker.mjs'), JSON.stringify(ours)];
  return [
    ['engine', engine] as const,
    ...(python === undefined
      ? []
      : ([
          ['pytorch compile', peer({})],
          ...(device === 'cuda'
            ? [['pytorch compile, CUDA graphs', peer({ cudaGraphs: true })] as const]
            : []),
        ] as const)),
  ];
}
