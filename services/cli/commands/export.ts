/** `export`: a model's weights for PyTorch or TensorFlow. */

import { command } from '../command.js';
import { storeOption, withStore } from '../convert/open-store.js';
import { readWeights } from '../convert/read-weights.js';
import { writeSafetensors, writeSavedModel } from '../convert/write-weights.js';
import { formatBytes } from '../format.js';
import { integer, oneOf, option, real, text } from '../options.js';

const MAX_STEP = 1_000_000_000;
const MAX_BATCH = 4096;

export const exportModel = command({
  name: 'export',
  summary: "writes a model's weights for PyTorch (safetensors) or TensorFlow (saved-model)",
  positionals: [{ name: 'MODEL', help: 'the name of a model in the store' }],
  options: {
    format: option(oneOf(['safetensors', 'saved-model']), 'of what is written', { fallback: 'safetensors' }),
    output: option(
      text('PATH'),
      'the file, or the folder of a SavedModel; named after the model where it is left out',
    ),
    version: option(integer(0, MAX_STEP), "a checkpoint's step; the newest where it is left out"),
    emaRate: option(real(0, 1), 'which average of the weights, 0 for none; the largest where it is left out'),
    batchSize: option(integer(1, MAX_BATCH), 'images of one call of a SavedModel', { fallback: 1 }),
    store: storeOption,
  },
  examples: [
    { arguments: 'MODEL --output model.safetensors', does: 'a state_dict under the names of the reference' },
    {
      arguments: 'MODEL --format saved-model --batch-size 16 --output saved',
      does: "xT, t -> modelOutput by TensorFlow's own operations",
    },
  ],
  notes: [
    "A SavedModel's signature serving_default takes xT [N, H, W, C] and t [N] in float32, t as the network was trained to\nbe told it, and y [N] in int32 where there are classes; it gives modelOutput [N, H, W, channels].",
  ],
  run: async ({ options, positionals: [model = ''] }, { terminal, settings, signal }) => {
    const { format, version, emaRate, batchSize, store: named } = options;
    const weights = await withStore(named, settings, (store) =>
      readWeights(store, { model, version, emaRate }, signal),
    );
    const { step } = weights.manifest;
    const path = options.output ?? (format === 'safetensors' ? `${model}.safetensors` : model);
    const bytes = await (format === 'safetensors'
      ? writeSafetensors(path, weights, signal)
      : writeSavedModel(path, weights, batchSize, signal));
    terminal.emit({ model, step, emaRate: weights.emaRate, format, path, bytes });
    const average = weights.emaRate === 0 ? 'bare weights' : `average ${weights.emaRate}`;
    terminal.print(`${model}, step ${step}, ${average}: ${formatBytes(bytes)} in ${path}`);
    return 0;
  },
});
