/** `batch pack`: a complete batch as one archive that other evaluators read. */

import { packBatch, readPlan } from '../../../shared/batch/index.js';
import { OUTPUT, withOutput } from '../batch/batch-options.js';
import { command } from '../command.js';
import { formatCount } from '../format.js';
import { option, text } from '../options.js';
import { UsageError } from '../parse-arguments.js';

export const batchPack = command({
  name: 'pack',
  summary: "packs a complete batch into an .npz file, which the reference's evaluator reads",
  positionals: [OUTPUT],
  options: { output: option(text('FILE.npz'), 'the file; required') },
  examples: [
    {
      arguments: 's3://images/flowers --output flowers.npz',
      does: 'arr_0 uint8 [N, H, W, 3] by rising index, and arr_1 with the classes where there are some',
    },
  ],
  run: ({ options: { output: path = '' }, positionals: [output = ''] }, { terminal, settings, signal }) => {
    if (!path.toLowerCase().endsWith('.npz'))
      throw new UsageError(
        `--output: wanted a file named .npz; got ${path === '' ? 'nothing' : path}`,
        'ip-diffusion batch pack',
      );
    return withOutput(
      output,
      { settings },
      async (store) => {
        const plan = await readPlan(store, { signal });
        const progress = terminal.progress();
        const onProgress = (images: number): void => {
          const facts = [`${formatCount(images)}/${formatCount(plan.count)} images`];
          progress.update({ label: 'packing', share: images / plan.count, facts });
        };
        await packBatch(store, plan, path, onProgress, signal).finally(progress.end);
        const { width, height } = plan.image;
        terminal.emit({ path, count: plan.count, height, width });
        terminal.print(`${formatCount(plan.count)} images of ${width}x${height} in ${path}`);
        return 0;
      },
      { mustExist: true },
    );
  },
});
