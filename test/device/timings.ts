/** Training and sampling on a device, beside what else is there on the same one, in turns. */
import { join } from 'node:path';

import { at } from '../../shared/foundation/index.js';
import { quantile, rounded } from '../bench/table.js';
import { checkParameters, createTurns, startWorker } from '../bench/worker-process.js';
import type { Turns, Worker } from '../bench/worker-process.js';
import type { EngineWay } from './engine-ways.js';
import type { TimedNetwork } from './packed.js';
import { peerCommand } from './peers.js';
import type { FoundPeer, PeerDevice } from './peers.js';

export interface Work extends TimedNetwork {
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

/** A piece of work that processes do in turns. */
export interface Job {
  readonly title: string;
  /** Images of a run. */
  readonly batch: number;
  readonly commands: readonly (readonly [name: string, command: readonly string[]])[];
  /** Who can't take part, and why. */
  readonly absent: readonly (readonly [name: string, reason: string])[];
  readonly rounds?: number;
  /** Of each process in a round. */
  readonly runs?: number;
}

/**
 * The jobs of a group get ready at the same time, in at most half of the time that is left, so that one which compiles for
 * long leaves time for those after it; what isn't ready by then has a note instead of times. Then one job is timed after
 * another.
 *
 * @param folder The pack.
 * @param endsAt By `performance.now`: all is ended then.
 */
export async function timings(
  groups: readonly (readonly Job[])[],
  folder: string,
  endsAt: number,
  say: (line: string) => void,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const group of groups) {
    const leftMs = Math.ceil(endsAt - performance.now());
    if (leftMs <= 0) {
      rows.push(...group.map(({ title }) => noted(title, 'all', 'no time left')));
      continue;
    }
    for (const { title } of group) say(title);
    rows.push(...(await timed(group, folder, leftMs)));
  }
  return rows;
}

const noted = (title: string, of: string, why: unknown): Row => ({ work: title, of, note: String(why) });

async function timed(group: readonly Job[], folder: string, leftMs: number): Promise<Row[]> {
  const ending = new AbortController();
  const timer = setTimeout(() => {
    ending.abort();
  }, leftMs);
  try {
    const begun = await Promise.all(group.map((job) => begin(job, folder, leftMs / 2, ending.signal)));
    const rows: Row[] = [];
    for (const [i, { workers, notes }] of begun.entries()) {
      const job = at(group, i);
      try {
        checkParameters(workers);
        rows.push(...(await inTurns(job, workers)));
      } catch (error) {
        rows.push(noted(job.title, 'all', error));
      }
      rows.push(...notes);
    }
    return rows;
  } finally {
    clearTimeout(timer);
    ending.abort();
  }
}

/** Starts a job's processes: they compile at the same time, but measure kernels one after another. */
async function begin({ title, commands, absent }: Job, folder: string, limitMs: number, ending: AbortSignal) {
  const turns = createTurns();
  const started = await Promise.allSettled(
    commands.map(([name, command]) => startWithin(limitMs, turns, name, command, folder, ending)),
  );
  const workers = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const late = started.flatMap((each, i) =>
    each.status === 'fulfilled' ? [] : [noted(title, commands[i]?.[0] ?? '', each.reason)],
  );
  return { workers, notes: [...late, ...absent.map(([name, reason]) => noted(title, name, reason))] };
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

async function inTurns(
  { title, batch, rounds = ROUNDS, runs = RUNS }: Job,
  workers: readonly Worker[],
): Promise<Row[]> {
  const times = new Map<Worker, number[]>(workers.map((worker) => [worker, []]));
  for (let round = 0; round < rounds; round++)
    for (const worker of workers) times.get(worker)?.push(...(await worker.time(runs)));
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
export function jobOf(
  work: Work,
  { folder, plugin, device, cacheFolder, ways, peers, peerDevice }: Setting,
): Job {
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
  return {
    title: `${work.work} ${work.name}, batch ${work.batch}, ${work.precision}`,
    batch: work.batch,
    commands: [
      ...own,
      ...there.flatMap((peer) =>
        Object.entries(peer.ways(task.device)).map(
          ([name, options]) => [name, peerCommand(peer, task, options)] as const,
        ),
      ),
    ],
    absent: peers.flatMap(({ name, absent }) => (absent === undefined ? [] : [[name, absent] as const])),
  };
}
