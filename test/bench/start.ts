/** How long it takes from nothing to the end of a first training step. */
import { availableParallelism, cpus } from 'node:os';

import { engineCommand } from './commands.js';
import { CIFAR10_32, SMALL_32 } from './networks.js';
import { PEERS_FOLDER } from './python.js';
import { quantile, rounded, type Bench } from './table.js';
import { startWorker } from './worker-process.js';

const ROUNDS = 3;

export const start: Bench = async (say) => {
  const rows = [];
  for (const [name, network, batch] of [
    ['8M, batch 32', SMALL_32, 32],
    ['57M (cifar10-32), batch 8', CIFAR10_32, 8],
  ] as const) {
    const times: Record<'loadMs' | 'firstStepMs', number[]> = { loadMs: [], firstStepMs: [] };
    for (let round = 1; round <= ROUNDS; round++) {
      say(`${name}: ${round} of ${ROUNDS}`);
      const task = { work: 'train', architecture: network, batch, precision: 'float32', engine: 'compiled' };
      const worker = await startWorker('engine', engineCommand(task), PEERS_FOLDER);
      for (const key of ['loadMs', 'firstStepMs'] as const) times[key].push(worker.ready[key] ?? NaN);
      await worker.end();
    }
    const [load, first] = [times.loadMs, times.firstStepMs].map((each) =>
      quantile(
        each.sort((a, b) => a - b),
        0.5,
      ),
    ) as [number, number];
    rows.push({
      work: name,
      'engine and variables s': rounded(load / 1000),
      'trace, compile and first step s': rounded(first / 1000),
      'together s': rounded((load + first) / 1000),
    });
  }
  return {
    about: `medians of ${ROUNDS} processes, without drawing the first weights; ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores`,
    rows,
  };
};
