/** `measure pack`: a folder of images as an archive that other evaluators read. */

import { writeNpz } from '../../../shared/dataset/index.js';
import { openImageSet } from '../../../shared/quality/index.js';
import { fileAccess } from '../../../shared/store/index.js';
import { command } from '../command.js';
import { formatCount } from '../format.js';
import { option, text } from '../options.js';
import { UsageError } from '../parse-arguments.js';

const USAGE = 'ip-diffusion measure pack';
const IMAGES_AT_ONCE = 64;

export const measurePackCommand = command({
  name: 'pack',
  summary: "packs a folder of images into an .npz file (arr_0), which the reference's evaluator reads",
  positionals: [{ name: 'IMAGES', help: 'a folder of PNG, JPEG and WebP images of one size' }],
  options: { output: option(text('FILE.npz'), 'the file; named after the folder when not given') },
  examples: [
    {
      arguments: 'flowers-samples --output samples.npz',
      does: 'uint8 [N, H, W, 3], in the order of the names',
    },
  ],
  run: async ({ options: { output }, positionals: [address = ''] }, { terminal, settings, signal }) => {
    const path = output ?? `${address.replace(/\/+$/, '')}.npz`;
    if (!path.toLowerCase().endsWith('.npz'))
      throw new UsageError(`wanted a file named .npz; got ${path}`, USAGE);
    const set = await openImageSet(address, { access: fileAccess(settings.environment), signal });
    try {
      const { images } = set;
      if (images === undefined) throw new UsageError('wanted images; got statistics only', USAGE);
      const { count } = images;
      const { height, width, channels } = await images.shape();
      const shape = [count, height, width, channels];
      const progress = terminal.progress();
      async function* values(): AsyncGenerator<Uint8Array, void, undefined> {
        let done = 0;
        for await (const batch of images?.batches(IMAGES_AT_ONCE, signal) ?? []) {
          yield batch.pixels;
          done += batch.count;
          progress.update({ label: 'packing', share: done / count, facts: [] });
        }
      }
      await writeNpz(path, [{ name: 'arr_0', dtype: '|u1', shape, values }], signal).finally(progress.end);
      terminal.emit({ path, count, height, width });
      terminal.print(`${formatCount(count)} images of ${width}x${height} in ${path}`);
    } finally {
      await set.close();
    }
    return 0;
  },
});
