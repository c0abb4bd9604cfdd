/** Workers of a pipeline as processes, and a pipeline for them. */

import type { ManyWorkers, ManyWorkersBatch } from '../batch/killed-workers.js';
import { spawnWorker, whenEvent } from '../batch/spawn-worker.js';
import { run } from '../cli/sinks.js';

const QUEUE = 'killed-workers';

/** Workers of `pipeline`: Temporal gives them the shards. @param temporal The address of a server. */
export function pipelineWorkers(
  temporal: string,
  { words, server, environment }: ManyWorkersBatch,
): ManyWorkers {
  const at = ['--temporal', temporal];
  let id = '';
  return {
    start: () =>
      spawnWorker(
        ['pipeline', 'worker', ...at, '--queue', QUEUE, '--server', server, '--workers', '1'],
        environment,
      ),
    begin: async (workers) => {
      // So that each has a part.
      await Promise.all(workers.map((worker) => whenEvent(worker, 'ready')));
      const { exitCode, out, err } = await run(
        ['pipeline', 'submit', ...words, ...at, '--queue', QUEUE, '--json'],
        { environment },
      );
      if (exitCode !== 0) throw new Error(err);
      ({ id } = JSON.parse(out) as { id: string });
    },
    finish: async (workers) => {
      const { exitCode, err } = await run(['pipeline', 'watch', id, ...at]);
      if (exitCode !== 0) throw new Error(err);
      for (const { child } of workers) child.kill('SIGTERM');
    },
  };
}
