/** `export`: a model's weights for PyTorch or TensorFlow. */

import { describeWeights } from '../../../shared/checkpoint/index.js';
import { checkpointOptions } from '../checkpoint-options.js';
import { command } from '../command.js';
import { storeOption, withStore } from '../convert/open-store.js';
import { readWeights } from '../convert/read-weights.js';
import { writeSafetensors, writeSavedModel } from '../convert/write-weights.js';
import { formatBytes } from '../format.js';
import { integer, oneOf, option, text } from '../options.js';

const MAX_BATCH = 4096;

export const exportModel = command({
  name: 'export',
  summary: "writes a model's weights for PyTorch (safetensors) or TensorFlow (saved-model)",
  positionals: [{ name: 'MODEL', help: 'the name of a model in the store' }],
  options: {
    format: option(oneOf(['safetensors', 'saved-model']), 'format of the file', { fallback: 'safetensors' }),
    output: option(
      text('PATH'),
      'the file, or the folder of a SavedModel; named after the model when not given',
    ),
    ...checkpointOptions,
    batchSize: option(integer(1, MAX_BATCH), 'number of images in one call of a SavedModel', { fallback: 1 }),
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
    "A SavedModel's signature serving_default takes xT [N, H, W, C] and t [N] in float32, t as the network takes it in\ntraining, and y [N] in int32 where there are classes; it gives modelOutput [N, H, W, channels].",
  ],
  run: async ({ options, positionals: [model = ''] }, { terminal, settings, signal }) => {
    const { format, checkpoint, batchSize, store: named } = options;
    const weights = await withStore(named, settings, (store) =>
      readWeights(store, { model, step: checkpoint, weights: options.weights }, signal),
    );
    const { step } = weights.manifest;
    const path = options.output ?? (format === 'safetensors' ? `${model}.safetensors` : model);
    const bytes = await (format === 'safetensors'
      ? writeSafetensors(path, weights, signal)
      : writeSavedModel(path, weights, batchSize, signal));
    terminal.emit({ model, step, weights: weights.weights, format, path, bytes });
    const which = describeWeights(weights.weights);
    terminal.print(`${model}, step ${step}, ${which}: ${formatBytes(bytes)} in ${path}`);
    return 0;
  },
});
