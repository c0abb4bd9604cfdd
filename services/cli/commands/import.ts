/** `import`: weights from another program into the store, so that samplers serve them. */

import { basename } from 'node:path';

import { openTensorFile, type TensorFile } from '../../../shared/interchange/index.js';
import {
  MAX_STEPS,
  PRESET_NAMES,
  resolveRecipe,
  type PartialRecipe,
  type TrainingRecipe,
} from '../../../shared/recipe/index.js';
import { command } from '../command.js';
import { commitImport } from '../convert/commit-import.js';
import { withFile } from '../convert/file-source.js';
import { storeOption, withStore } from '../convert/open-store.js';
import { formatBytes } from '../format.js';
import { integer, oneOf, option, real, text, type Values } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import { fieldOptions, partialRecipe, recipeOptions } from '../recipe-options.js';

const USAGE = 'ip-diffusion import';

const options = {
  preset: option(oneOf(PRESET_NAMES), 'the preset whose network and noise schedule the file has'),
  recipe: option(text('FILE.json'), 'a recipe file, where no preset fits'),
  name: option(text('MODEL'), "the model's name; taken from the recipe or the file's name when not given"),
  ...fieldOptions(['variant', 'gamma']),
  set: recipeOptions.set,
  emaRate: option(
    real(0.000001, 0.999999),
    "the weights are EMA weights of this rate; taken from the file's name when not given",
  ),
  step: option(
    integer(0, MAX_STEPS),
    "optimizer steps that made the weights; taken from the file's name when not given",
  ),
  owner: option(text('TENANT'), 'the tenant that the model belongs to; everybody sees it when not given'),
  store: storeOption,
};

type ImportValues = Values<typeof options>;

export const importCheckpoint = command({
  name: 'import',
  summary: 'imports weights of PyTorch (.pt, .safetensors) into the store as a model',
  positionals: [{ name: 'FILE', help: 'a state_dict of the reference or of guided-diffusion' }],
  options,
  examples: [
    {
      arguments: 'ema_0.9999_460000.pt --preset cifar10-32',
      does: "the reference's EMA weights of step 460,000",
    },
    {
      arguments: 'model.safetensors --recipe recipe.json --name mine --step 20000',
      does: 'any other network',
    },
  ],
  notes: [
    'No code in the file is run. Other precisions become float32. Repeating an import changes nothing; another step of the\nsame recipe becomes another checkpoint. Samplers find it at once.',
    'An imported model can be sampled, and a new job can start from it (train --warm-start). It can not be resumed: the file\nholds no optimizer state.',
  ],
  run: async ({ options: values, positionals: [path = ''] }, context) => {
    const { terminal, settings, clock, signal } = context;
    if (values.preset === undefined && values.recipe === undefined)
      throw new UsageError('wanted --preset or --recipe, which describe the network of the file', USAGE);
    const named = partsOfName(path);
    const { emaRate = named.emaRate, step = named.step ?? 0 } = values;
    const recipe = await recipeOf(values, emaRate, named.model);
    return withStore(values.store, settings, (store) =>
      withFile(path, async (source) => {
        const file = await openTensorFile(source);
        const progress = terminal.progress();
        const sha256 = await source.sha256(signal);
        const { job, committed } = await commitImport(
          file,
          {
            recipe,
            step,
            emaRate,
            owner: values.owner,
            source: { file: basename(path).slice(0, 256), sha256 },
          },
          {
            ...{ store, clock, signal },
            onProgress: (done, of) => {
              progress.update({ label: 'reading', share: done / of, facts: [`${done} of ${of} tensors`] });
            },
          },
        ).finally(() => {
          progress.end();
        });
        const notes = notesOf(file, { step: values.step ?? named.step, emaRate });
        const { name: model } = recipe;
        terminal.emit({
          model,
          step,
          emaRates: emaRate === undefined ? [] : [emaRate],
          job,
          committed,
          sha256,
          notes,
        });
        for (const note of notes) terminal.print(note);
        terminal.print(
          committed
            ? `${model}, step ${step}: ${file.tensors.size} tensors from ${formatBytes(source.size)} are in ${store.description}`
            : `${model}, step ${step}, was imported from this file before; nothing to do`,
        );
        return 0;
      }),
    );
  },
});

interface NameParts {
  readonly step: number | undefined;
  readonly emaRate: number | undefined;
  readonly model: string;
}

/** What the file names of the reference contain: model460000.pt, ema_0.9999_460000.pt. */
function partsOfName(path: string): NameParts {
  const stem = basename(path).replace(/\.[a-z]+$/i, '');
  const [, rate] = /(?:^|_)ema_(0\.\d+)(?:_|$)/.exec(stem) ?? [];
  const [, step] = /(?:model|ema_0\.\d+_)(\d{1,9})$/.exec(stem) ?? [];
  const model = stem
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '');
  return {
    step: step === undefined ? undefined : Number(step),
    emaRate: rate === undefined ? undefined : Number(rate),
    model: model === '' ? 'imported' : model.slice(0, 63),
  };
}

async function recipeOf(
  values: ImportValues,
  emaRate: number | undefined,
  model: string,
): Promise<TrainingRecipe> {
  const given = await partialRecipe(values, USAGE);
  const { dataset, ema } = given;
  const known: PartialRecipe = {
    ...given,
    dataset: { ...dataset, source: dataset?.source ?? { kind: 'unknown' } },
    ema: { ...ema, ...(emaRate !== undefined && { rates: [emaRate] }) },
  };
  return resolveRecipe(known, model);
}

function notesOf(file: TensorFile, { step, emaRate }: Pick<NameParts, 'step' | 'emaRate'>): string[] {
  const dtypes = new Set(Array.from(file.tensors.values(), ({ dtype }) => dtype));
  const converted = [...dtypes].filter((dtype) => dtype !== 'F32');
  return [
    ...file.unwrapped.map((what) => `unwrapped: ${what}`),
    ...(converted.length === 0 ? [] : [`converted to F32: ${converted.join(', ')}`]),
    ...(step === undefined ? ["step 0, as the file's name has none; --step sets another one"] : []),
    ...(emaRate === undefined ? ['imported as raw weights; if they are EMA weights, give --ema-rate'] : []),
  ];
}
