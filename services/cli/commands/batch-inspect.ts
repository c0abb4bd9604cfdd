/** `batch status`, `batch verify`, `batch cancel`: what an output holds, and the end of its workers. */

import {
  batchStatus,
  cancelBatch,
  describePlan,
  planSha256,
  readPlan,
  removeShard,
  uncancelBatch,
  verifyBatch,
} from '../../../shared/batch/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';
import { OUTPUT, withOutput } from '../batch/batch-options.js';
import { command } from '../command.js';
import { formatCount } from '../format.js';
import { flag } from '../options.js';

const LOOKING = { mustExist: true };

export const batchStatusCommand = command({
  name: 'status',
  summary: 'shows how far a batch is',
  positionals: [OUTPUT],
  options: {},
  examples: [{ arguments: 's3://images/flowers', does: 'images and shards that are complete' }],
  run: ({ positionals: [output = ''] }, { terminal, settings, signal }) =>
    withOutput(
      output,
      { settings },
      async (store) => {
        const plan = await readPlan(store, { signal });
        const status = await batchStatus(store, plan, { signal });
        terminal.emit({ sha256: planSha256(plan), model: plan.model, ...status });
        const { images, shards } = status;
        const percent = Math.floor((100 * images.complete) / images.total);
        terminal.print(describePlan(plan));
        terminal.print(
          `${formatCount(images.complete)}/${formatCount(images.total)} images (${percent} %), ` +
            `${formatCount(shards.complete)}/${formatCount(shards.total)} shards, ${formatCount(shards.claimed)} at work`,
        );
        if (status.isCancelled) terminal.print('cancelled');
        return 0;
      },
      LOOKING,
    ),
});

export const batchVerify = command({
  name: 'verify',
  summary: 'reads every shard of a batch and compares each image with its hash',
  positionals: [OUTPUT],
  options: { remove: flag('remove damaged shards, so that a worker makes them again') },
  examples: [
    { arguments: 'flowers-50k', does: 'exit code 1 where a shard is missing or damaged' },
    { arguments: 'flowers-50k --remove', does: 'and remove what is damaged' },
  ],
  run: ({ options: { remove }, positionals: [output = ''] }, { terminal, settings, signal }) =>
    withOutput(
      output,
      { settings },
      async (store) => {
        const plan = await readPlan(store, { signal });
        const counts = { images: 0, missing: 0, damaged: 0 };
        const progress = terminal.progress();
        try {
          for await (const { shard, images, problem } of verifyBatch(store, plan, { signal })) {
            counts.images += images;
            terminal.emit({ event: 'shard', shard, images, problem });
            progress.update({ label: 'verifying', share: counts.images / plan.count, facts: [] });
            if (problem === undefined) continue;
            counts[problem.kind] += 1;
            terminal.print(problem.text);
            if (remove && problem.kind === 'damaged') await removeShard(store, shard, { signal });
          }
        } finally {
          progress.end();
        }
        const { missing, damaged } = counts;
        terminal.emit({ event: 'completed', ...counts });
        terminal.print(
          `${formatCount(counts.images)}/${formatCount(plan.count)} images are whole; ` +
            `${formatCount(missing)} shards missing, ${formatCount(damaged)} damaged`,
        );
        if (damaged > 0 && !remove) {
          throw new DiffusionError('BATCH_DAMAGED', `${damaged} shards are damaged`, {
            metadata: {
              remedy: `npx ip-diffusion batch verify ${output} --remove, then run the batch again`,
            },
          });
        }
        return missing + damaged > 0 ? 1 : 0;
      },
      LOOKING,
    ),
});

export const batchCancel = command({
  name: 'cancel',
  summary: 'ends all workers of a batch within seconds; what is complete stays',
  positionals: [OUTPUT],
  options: { undo: flag('let workers go on') },
  examples: [
    { arguments: 's3://images/flowers', does: 'on all machines' },
    { arguments: 's3://images/flowers --undo', does: 'before the batch is run again' },
  ],
  run: ({ options: { undo }, positionals: [output = ''] }, { terminal, settings, signal }) =>
    withOutput(
      output,
      { settings },
      async (store) => {
        await readPlan(store, { signal });
        if (undo) await uncancelBatch(store, { signal });
        else await cancelBatch(store, { signal });
        terminal.emit({ isCancelled: !undo });
        terminal.print(undo ? 'workers may go on' : 'cancelled; workers end within seconds');
        return 0;
      },
      LOOKING,
    ),
});
