/** Steps of the engine beside the same steps in PyTorch, in turns, so that both see the same machine. */
import { availableParallelism, cpus } from 'node:os';

import type { UNetConfig } from '../../shared/model/index.js';
import { engineCommand, pytorchCommand } from './commands.js';
import { CIFAR10_32, SMALL_32 } from './networks.js';
import { PEERS_FOLDER, pythonWithPeers } from './python.js';
import { quantile, rounded, type Bench } from './table.js';
import { OPTIMIZER } from './timed-training.js';
import { checkParameters, startWorker, type Worker } from './worker-process.js';

interface Work {
  readonly name: string;
  readonly work: 'train' | 'predict';
  readonly network: UNetConfig;
  readonly batch: number;
  readonly precision: 'float32' | 'bfloat16';
  /** Runs of each worker in a round. */
  readonly runs: number;
  readonly others?: readonly Other[];
}

type Other = 'eager' | 'denoising-diffusion-pytorch' | 'diffusers';

const ROUNDS = 5;

const train = (name: string, network: UNetConfig, batch: number, others: readonly Other[] = []): Work[] =>
  (['float32', 'bfloat16'] as const).map((precision) => ({
    name: `train ${name}, batch ${batch}`,
    ...{ work: 'train', network, batch, precision, runs: 1 },
    ...(precision === 'float32' && { others }),
  }));

const WORKS: readonly Work[] = [
  ...train('8M', SMALL_32, 32, ['eager', 'denoising-diffusion-pytorch', 'diffusers']),
  ...train('57M (cifar10-32)', CIFAR10_32, 8, ['eager']),
  ...[1, 4, 16, 32].flatMap((batch) =>
    (['float32', 'bfloat16'] as const).map((precision): Work => ({
      name: `sample 8M, batch ${batch}`,
      ...{ work: 'predict', network: SMALL_32, batch, precision, runs: Math.ceil(16 / batch) },
      ...(precision === 'float32' && { others: ['eager'] }),
    })),
  ),
];

export const againstPytorch: Bench = async (say, isWanted) => {
  const works = WORKS.filter(({ name, precision }) => isWanted(`${name}, ${precision}`));
  const python = await pythonWithPeers(say);
  const rows = [];
  for (const work of works) rows.push(...(await compare(work, python, say)));
  return {
    about: `medians of ${ROUNDS} rounds in turns, peak resident memory of each process; ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores`,
    rows,
  };
};

async function compare(work: Work, python: string, say: (line: string) => void) {
  const workers: Worker[] = [];
  for (const [name, command] of commands(work, python)) {
    say(`${work.name}, ${work.precision}: starting ${name}`);
    workers.push(await startWorker(name, command, PEERS_FOLDER));
  }
  checkParameters(workers.filter(({ name }) => name === 'engine' || name.startsWith('pytorch')));
  const times = new Map<Worker, number[]>(workers.map((worker) => [worker, []]));
  for (let round = 1; round <= ROUNDS; round++) {
    say(`${work.name}, ${work.precision}: round ${round} of ${ROUNDS}`);
    for (const worker of workers) times.get(worker)?.push(...(await worker.time(work.runs)));
  }
  const medians = workers.map((worker) =>
    quantile(
      (times.get(worker) ?? []).sort((a, b) => a - b),
      0.5,
    ),
  );
  const best = Math.min(...medians.filter((_, i) => workers[i]?.name.startsWith('pytorch') === true));
  const rows = [];
  for (const [i, worker] of workers.entries()) {
    const ms = medians[i] ?? Number.NaN;
    rows.push({
      work: work.name,
      precision: work.precision,
      of: worker.name,
      parameters: worker.ready['parameters'] ?? 0,
      'median ms': rounded(ms),
      'to best PyTorch': rounded(ms / best, 3),
      'peak MiB': Math.round((await worker.end()).peakMb),
    });
  }
  for (const { of, 'median ms': ms, 'to best PyTorch': ratio } of rows) {
    say(`${work.name}, ${work.precision}: ${of} ${ms} ms, ${ratio} of PyTorch's best`);
  }
  return rows;
}

function commands({ work, network, batch, precision, others = [] }: Work, python: string) {
  const task = { work, architecture: network, batch, precision, optimizer: OPTIMIZER };
  const twin = (compile: boolean): string[] => pytorchCommand(python, { ...task, compile });
  return new Map([
    ['engine', engineCommand({ ...task, engine: 'compiled' })],
    ['pytorch eager', twin(false)],
    ['pytorch compile', twin(true)],
    ...others.map((name) =>
      name === 'eager'
        ? (['tfjs eager', engineCommand({ ...task, engine: 'eager' })] as const)
        : ([name, pytorchCommand(python, { library: name, batch })] as const),
    ),
  ]);
}
