/** Training and sampling on a device, beside what else is there on the same one, in turns. */
import { join } from 'node:path';

import { quantile, rounded } from '../bench/table.js';
import { checkParameters, createTurns, startWorker } from '../bench/worker-process.js';
import type { Turns, Worker } from '../bench/worker-process.js';
import type { EngineWay } from './engine-ways.js';
import type { TimedNetwork } from './packed.js';
import { peerCommand } from './peers.js';
import type { FoundPeer, PeerDevice } from './peers.js';

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
  readonly ways: readonly EngineWay[];
  readonly peers: readonly FoundPeer[];
  readonly peerDevice: PeerDevice;
}

/** With times, or with a note why there are none. */
export type Row = Readonly<Record<string, string | number>>;

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

/**
 * Each work gets ready in at most half of the time that is left, so that one which compiles for long leaves time for those
 * after it; what isn't ready by then has a note instead of times.
 *
 * @param endsAt By `performance.now`: all is ended then.
 */
export async function timings(
  works: readonly Work[],
  setting: Setting,
  endsAt: number,
  say: (line: string) => void,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const work of works) {
    const title = `${work.work} ${work.name}, batch ${work.batch}, ${work.precision}`;
    const leftMs = Math.ceil(endsAt - performance.now());
    if (leftMs <= 0) {
      rows.push({ work: title, of: 'all', note: 'no time left' });
      continue;
    }
    say(title);
    rows.push(...(await timed(title, work, setting, leftMs)));
  }
  return rows;
}

async function timed(title: string, work: Work, setting: Setting, leftMs: number): Promise<Row[]> {
  const noted = (of: string, error: unknown): Row => ({ work: title, of, note: String(error) });
  const ending = new AbortController();
  const timer = setTimeout(() => {
    ending.abort();
  }, leftMs);
  const commands = commandsOf(work, setting);
  try {
    // They compile at the same time, but measure kernels and are timed one after another.
    const turns = createTurns();
    const started = await Promise.allSettled(
      commands.map(([name, command]) =>
        startWithin(leftMs / 2, turns, name, command, setting.folder, ending.signal),
      ),
    );
    const workers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const late = started.flatMap((each, i) =>
      each.status === 'fulfilled' ? [] : [noted(commands[i]?.[0] ?? '', each.reason)],
    );
    const absent = setting.peers.flatMap((peer) =>
      peer.absent === undefined ? [] : [noted(peer.name, peer.absent)],
    );
    const notes = [...late, ...absent];
    try {
      checkParameters(workers);
      return [...(await inTurns(title, work, workers)), ...notes];
    } catch (error) {
      return [noted('all', error), ...notes];
    }
  } finally {
    clearTimeout(timer);
    ending.abort();
  }
}

async function startWithin(
  limitMs: number,
  turns: Turns,
  ...[name, command, folder, ending]: [string, readonly string[], string, AbortSignal]
): Promise<Worker> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort();
  }, limitMs);
  try {
    return await startWorker(name, command, folder, AbortSignal.any([late.signal, ending]), turns);
  } catch (error) {
    throw late.signal.aborted ? new Error(`not ready in ${Math.round(limitMs / 1000)} s`) : error;
  } finally {
    clearTimeout(timer);
  }
}

async function inTurns(title: string, { batch }: Work, workers: readonly Worker[]): Promise<Row[]> {
  const times = new Map<Worker, number[]>(workers.map((worker) => [worker, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const worker of workers) times.get(worker)?.push(...(await worker.time(RUNS)));
  const medians = workers.map((worker) =>
    quantile(
      (times.get(worker) ?? []).sort((a, b) => a - b),
      0.5,
    ),
  );
  const bestOf = (name: string): number =>
    Math.min(...medians.filter((_, i) => workers[i]?.name.startsWith(name) === true));
  const rows: Row[] = [];
  for (const [i, worker] of workers.entries()) {
    const ms = medians[i] ?? Number.NaN;
    const { firstStepMs } = worker.ready;
    const { peakMb, peakDeviceMb } = await worker.end();
    rows.push({
      ...{
        work: title,
        of: worker.name,
        'median ms': rounded(ms, 2),
        'images/s': rounded((1000 * batch) / ms),
      },
      ...toBest('to best PyTorch', ms, bestOf('pytorch')),
      ...toBest('to JAX', ms, bestOf('jax')),
      'host MiB': Math.round(peakMb),
      ...(peakDeviceMb !== undefined && { 'device MiB': Math.round(peakDeviceMb) }),
      ...(firstStepMs !== undefined && { 'first step s': rounded(firstStepMs / 1000) }),
    });
  }
  return rows;
}

const toBest = (column: string, ms: number, best: number): Row =>
  Number.isFinite(best) ? { [column]: rounded(ms / best, 3) } : {};

/** float32 may be of TF32 on all sides. */
function commandsOf(work: Work, { folder, plugin, device, cacheFolder, ways, peers, peerDevice }: Setting) {
  const task = { ...work, device: peerDevice, tf32: true };
  const own = ways
    .filter(({ precisions }) => precisions.includes(work.precision))
    .map(({ name, settings }) => {
      const ours = {
        ...task,
        engine: 'pjrt',
        pjrt: { plugin, device, tf32: true, cacheFolder, ...settings },
      };
      return [name, [process.execPath, join(folder, 'engine-worker.mjs'), JSON.stringify(ours)]] as const;
    });
  const there = peers.filter(({ absent }) => absent === undefined);
  return [
    ...own,
    ...there.flatMap((peer) =>
      Object.entries(peer.ways(task.device)).map(
        ([name, options]) => [name, peerCommand(peer, task, options)] as const,
      ),
    ),
  ];
}
