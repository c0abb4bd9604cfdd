/** `encode`: pictures to the x_T from which DDIM samples them again. */

import {
  precisions,
  priorities,
  samplerSettingsToWire,
  weightsToWire,
  type samplerWire,
} from '../../../shared/contract/index.js';
import { PRECISIONS } from '../../../shared/recipe/index.js';
import { DEFAULT_STEPS, SPACINGS } from '../../../shared/sampler/index.js';
import { checkpointOptions } from '../checkpoint-options.js';
import { command } from '../command.js';
import { samplerConnection, withSampler } from '../connect.js';
import { encodeImages } from '../generate-images.js';
import { integer, integers, oneOf, option, text } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import { RAW_EXTENSION, readStart } from '../picture-files.js';
import { MAX_STEPS, samplerPriority } from '../sampler-options.js';
import { describeCompleted } from './sample.js';

const USAGE = 'ip-diffusion encode';

export const encode = command({
  name: 'encode',
  summary: 'encodes pictures to the x_T from which DDIM samples them again',
  positionals: [
    { name: 'MODEL', help: 'the name of a model, as `models` lists them' },
    { name: 'PICTURES', help: 'a picture, or a folder of them' },
  ],
  options: {
    steps: option(integer(1, MAX_STEPS), `DDIM steps; ${DEFAULT_STEPS} when not given`),
    spacing: option(oneOf(SPACINGS), 'how the steps are spread over the timesteps; even when not given'),
    precision: option(oneOf(PRECISIONS), 'the numbers that the network computes with', {
      fallback: 'float32',
    }),
    classes: option(integers, 'class of a class-conditional model: one for all pictures, or one for each'),
    ...checkpointOptions,
    output: option(text('DIR'), `folder for the ${RAW_EXTENSION} files and provenance.json`, {
      fallback: 'encoded',
    }),
    priority: samplerPriority,
    ...samplerConnection,
  },
  examples: [
    { arguments: 'MODEL photos', does: `photos/a.png becomes encoded/a.png${RAW_EXTENSION}` },
    {
      arguments: 'MODEL photo.png --steps 250',
      does: 'more steps: DDIM gives the picture back more exactly',
    },
  ],
  notes: [
    `Sample from the files with: ${USAGE.replace('encode', 'sample')} MODEL --sampler ddim --from encoded`,
    'Each file is [height, width, channels] little-endian float32.',
  ],
  run: async ({ options: values, positionals: [model = '', from = ''] }, context) => {
    const { steps, spacing, precision, classes = [], checkpoint, weights, output: folder } = values;
    const { kind, names, contents } = await readStart(from);
    if (kind !== 'pictures')
      throw new UsageError(`wanted pictures; ${from} has ${RAW_EXTENSION} files`, USAGE);
    const settings = {
      sampler: 'ddim' as const,
      ...(steps !== undefined && { steps }),
      ...(spacing !== undefined && { spacing }),
    };
    const request: samplerWire.EncodeRequest = {
      model,
      checkpointStep: checkpoint,
      weights: weights === undefined ? undefined : weightsToWire(weights),
      images: contents,
      classes,
      settings: { ...samplerSettingsToWire(settings), precision: precisions.write(precision) },
      priority: priorities.write(values.priority),
    };
    const paths = { folder, nameOf: (index: number) => names[index] ?? String(index) };
    return withSampler(values, context.signal, async (client) => {
      const { completed } = await encodeImages(client, request, paths, context);
      if (completed !== undefined) context.terminal.print(describeCompleted(completed));
      context.terminal.print(`${RAW_EXTENSION} files and provenance.json in ${folder}`);
      return 0;
    });
  },
});
