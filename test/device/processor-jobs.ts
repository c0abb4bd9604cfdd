/** What is timed on a machine with many cores: each work on several numbers of threads, the engine beside PyTorch. */
import { join } from 'node:path';

import { at } from '../../shared/foundation/index.js';
import { startWorker } from '../bench/worker-process.js';
import { peerCommand } from './peers.js';
import type { FoundPeer } from './peers.js';
import type { Job, Row, Work } from './timings.js';

export const THREADS: readonly number[] = [1, 2, 4, 8, 16];

export interface ProcessorSetting {
  /** The pack. */
  readonly folder: string;
  /** The processors that may be used, by number. */
  readonly processors: readonly number[];
  /** Undefined where the engine is timed alone. */
  readonly torch: FoundPeer | undefined;
  /** Of what PyTorch compiles. */
  readonly cacheFolder: string;
}

/** A work on some threads. */
export interface Case {
  readonly work: Work;
  readonly threads: number;
  /** The processors that its processes are restricted to, as many as threads. */
  readonly on: readonly number[];
}

/**
 * Every work on every number of threads for which there are processors, the most threads first: few threads take longest, and
 * what comes last may be left out. Those of a group use different processors, so that they can get ready at the same time.
 */
export function casesOf(
  works: readonly Work[],
  threads: readonly number[],
  processors: readonly number[],
): Case[][] {
  const possible = threads.filter((each) => each <= processors.length).sort((a, b) => b - a);
  return possible.flatMap((each) => {
    const places = Math.floor(processors.length / each);
    const groups: Case[][] = [];
    for (const [i, work] of works.entries()) {
      const place = i % places;
      if (place === 0) groups.push([]);
      const on = processors.slice(place * each, (place + 1) * each);
      at(groups, groups.length - 1).push({ work, threads: each, on });
    }
    return groups;
  });
}

const titleOf = ({ work, threads }: Case): string =>
  `${workOf(work)}, ${work.precision}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`;
const workOf = ({ work, name, batch }: Work): string => `${work} ${name}, batch ${batch}`;

const EAGER = 'pytorch eager';
const COMPILED = 'pytorch compile';

/** @param compiled What `compileAhead` returned; undefined where PyTorch isn't to compile. */
export function jobOf(
  timed: Case,
  { folder, torch, cacheFolder }: ProcessorSetting,
  compiled: Compiled | undefined,
): Job {
  const { work, threads, on } = timed;
  const title = titleOf(timed);
  const task = { ...work, engine: 'compiled' };
  const engine = [process.execPath, join(folder, 'engine-worker.mjs'), JSON.stringify(task)];
  const pinned = (command: readonly string[]): string[] => ['taskset', '-c', on.join(','), ...command];
  const there = torch !== undefined && torch.absent === undefined;
  const trouble = compiled?.get(timed);
  const compiles = there && compiled !== undefined && trouble === undefined;
  return {
    ...{ title, batch: work.batch },
    commands: [
      ['engine', pinned(engine)],
      ...(there ? ([[EAGER, pinned(torchCommand(torch, work, false))]] as const) : []),
      ...(compiles
        ? ([
            [COMPILED, pinned([...environment(threads, cacheFolder), ...torchCommand(torch, work, true)])],
          ] as const)
        : []),
    ],
    absent: [
      ...(torch?.absent === undefined ? [] : [[torch.name, torch.absent] as const]),
      ...(trouble === undefined ? [] : [[COMPILED, trouble] as const]),
    ],
    // A run takes seconds on few threads.
    rounds: threads <= 2 ? 3 : 5,
    runs: Math.max(1, Math.floor(threads / 4)),
  };
}

const torchCommand = (torch: FoundPeer, work: Work, compile: boolean): string[] =>
  peerCommand(torch, { ...work, device: 'cpu', tf32: false }, { compile });

/** Of a process that compiles, beside which others do. */
const COMPILERS = 2;

/** PyTorch's compiler writes the number of threads into its code, and some versions don't see that in their cache. */
const environment = (threads: number, cacheFolder: string): string[] => [
  'env',
  `TORCHINDUCTOR_CACHE_DIR=${join(cacheFolder, String(threads))}`,
  `TORCHINDUCTOR_COMPILE_THREADS=${COMPILERS}`,
];

/** Why a case isn't compiled, where it isn't. */
export type Compiled = ReadonlyMap<Case, string>;

/**
 * Has PyTorch compile for all cases, on all processors: a process that may use one of them would take minutes. The processes
 * that are timed then find the results in PyTorch's cache.
 *
 * @param limitMs All is ended then.
 */
export async function compileAhead(
  cases: readonly Case[],
  { folder, torch, processors, cacheFolder }: ProcessorSetting,
  limitMs: number,
): Promise<Compiled> {
  const troubles = new Map<Case, string>();
  if (torch === undefined || torch.absent !== undefined) return troubles;
  const ending = new AbortController();
  const timer = setTimeout(() => {
    ending.abort();
  }, limitMs);
  const waiting = [...cases];
  const compileNext = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { work, threads } = next;
      const command = [
        ...environment(threads, cacheFolder),
        `OMP_NUM_THREADS=${threads}`,
        ...torchCommand(torch, work, true),
      ];
      try {
        ending.signal.throwIfAborted();
        await (await startWorker(COMPILED, command, folder, ending.signal)).end();
      } catch (error) {
        const late = `not compiled in ${Math.round(limitMs / 1000)} s`;
        troubles.set(next, ending.signal.aborted ? late : String(error));
      }
    }
  };
  // Few at a time, so that the first are ready when the time ends too early for all.
  await Promise.all(Array.from({ length: Math.ceil(processors.length / COMPILERS) }, compileNext));
  clearTimeout(timer);
  return troubles;
}

/** A line for each case, from the rows of `timings`. */
export function tableOf(cases: readonly Case[], rows: readonly Row[]): Row[] {
  return cases.map((each) => {
    const own = rows.filter(({ work }) => work === titleOf(each));
    const medianOf = (name: string): Row[string] => own.find(({ of }) => of === name)?.['median ms'] ?? '';
    const { work, threads } = each;
    return {
      work: workOf(work),
      precision: work.precision,
      threads,
      'engine ms': medianOf('engine'),
      'PyTorch eager ms': medianOf(EAGER),
      'PyTorch compile ms': medianOf(COMPILED),
      'to best PyTorch': own.find(({ of }) => of === 'engine')?.['to best PyTorch'] ?? '',
      note: own.flatMap(({ of, note }) => (note === undefined ? [] : [`${of}: ${note}`])).join('; '),
    };
  });
}
