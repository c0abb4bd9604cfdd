/** `pipeline worker`: does the work of pipelines until it is stopped. */

import { DEFAULT_ADDRESSES } from '../../../shared/rpc/index.js';
import { withSamplers, workerOptions } from '../batch/batch-options.js';
import { command } from '../command.js';
import { TRAINER_VARIABLE } from '../config.js';
import { securityOptions } from '../connect.js';
import { formatCount } from '../format.js';
import { address, option } from '../options.js';
import { packagesOf, temporalAddress, temporalOptions } from '../pipeline/temporal-options.js';

const USAGE = 'ip-diffusion pipeline worker';
const { server, workers, wait } = workerOptions;

export const pipelineWorker = command({
  name: 'worker',
  summary: 'does the work of pipelines until it is stopped',
  options: {
    ...temporalOptions,
    server,
    workers,
    wait,
    trainer: option(address, "the trainer's address, for sweeps", {
      fallback: DEFAULT_ADDRESSES.trainer,
      environment: TRAINER_VARIABLE,
    }),
    ...securityOptions,
  },
  examples: [
    { arguments: '--server sampler-a:50062 --server sampler-b:50062', does: 'shards from two samplers' },
    { arguments: '--temporal temporal:7233 --queue gpu', does: 'for the pipelines of a queue' },
  ],
  notes: [
    'Workers may be started and killed at any moment; what one was at is made by another. They need the variables of the ' +
      'outputs they write (IP_DIFFUSION_S3_...), and read reference images where they run.',
  ],
  run: ({ options: values }, context) => {
    const { terminal, settings, clock, signal } = context;
    const packages = packagesOf(context);
    return withSamplers(values, context, async (pool) => {
      // Loaded here, for what it starts is of no use to other commands.
      const { runPipelineWorker } = await import('../pipeline/run-worker.js');
      const { namespace, queue, trainer, ca, cert, key, tokenFile } = values;
      await runPipelineWorker(packages, {
        ...{ pool, environment: settings.environment, clock, signal, namespace, queue },
        server: await temporalAddress(values, USAGE),
        trainer: { address: trainer, ca, cert, key, tokenFile },
        atOnce: values.workers ?? 2 * pool.size(),
        onWarning: terminal.printError,
        onShard: (out, shard, images) => {
          terminal.emit({ event: 'shard', out, shard, images });
          terminal.print(`shard ${shard} of ${out}: ${formatCount(images)} images`);
        },
        onReady: () => {
          terminal.emit({ event: 'ready', queue });
          terminal.print(`takes work from the queue ${queue} of ${values.temporal}`);
        },
      });
      return 0;
    });
  },
});
