/** `pipeline submit` and `pipeline sweep`: start pipelines. */

import { createHash } from 'node:crypto';
import { resolve } from 'node:path';

import type { AskedBatch } from '../../../shared/batch/index.js';
import { samplingWire } from '../../../shared/contract/index.js';
import { hasScheme, STORE_PLACEHOLDER } from '../../../shared/store/index.js';
import { askedBatch, planOptions } from '../batch/plan-options.js';
import { command, type Context } from '../command.js';
import { option, text, type Values } from '../options.js';
import { UsageError } from '../parse-arguments.js';
import type { BatchRequest, ImagesInput, MeasuredInput, SweepInput } from '../pipeline/pipelines.js';
import { readSweep } from '../pipeline/sweep-file.js';
import { temporalOptions, withTemporal } from '../pipeline/temporal-options.js';

const SUBMIT = 'ip-diffusion pipeline submit';
const SWEEP = 'ip-diffusion pipeline sweep';

const output = option(
  text(STORE_PLACEHOLDER),
  'where the images and the report are kept: a bucket, or a folder that all workers share; required',
);

export const pipelineSubmit = command({
  name: 'submit',
  summary: 'starts a pipeline: a batch of images, and their figures where --reference is given',
  positionals: [{ name: 'MODEL', help: 'the name of a model' }],
  options: {
    ...planOptions,
    out: output,
    reference: option(
      text('IMAGES'),
      'measure the images against these, which the worker reads: an .npz file or a folder',
    ),
    extractor: option(text('PATH|NAME'), 'what turns images into features, as for `measure quality`', {
      fallback: 'pixels',
    }),
    ...temporalOptions,
  },
  examples: [
    { arguments: 'flowers --count 50000 --steps 80 --out s3://images/flowers', does: 'images' },
    {
      arguments:
        'cifar --count 50000 --out s3://images/cifar --reference cifar10.npz --extractor inception.pb',
      does: 'images, then FID and the other measures, then report.md in the output',
    },
  ],
  notes: ['The same output is the same pipeline: submitted again while it runs, it goes on.'],
  run: ({ options: values, positionals: [model = ''] }, context) => {
    const input: ImagesInput = {
      out: outputOf(values.out, SUBMIT),
      batch: requestOf(askedBatch(model, values, SUBMIT)),
    };
    const { reference, extractor } = values;
    if (reference === undefined) return start('generateImages', input, values, SUBMIT, context);
    const measured: MeasuredInput = { ...input, quality: { reference, extractor } };
    return start('generateAndMeasure', measured, values, SUBMIT, context);
  },
});

/** A sweep's file says how many images; its checkpoints are those that it trains. */
const sweepPlanOptions = withoutKeys(planOptions, ['count', 'checkpoint']);

export const pipelineSweep = command({
  name: 'sweep',
  summary:
    'starts a pipeline that trains a model for each recipe, samples from each, and compares the images',
  positionals: [{ name: 'FILE', help: 'a JSON file with recipe, variants, count, reference, extractor' }],
  options: { ...sweepPlanOptions, out: output, ...temporalOptions },
  examples: [
    { arguments: 'gammas.json --steps 80 --out s3://images/gammas', does: 'as docs/batch.md shows' },
  ],
  notes: [
    'Ends with report.json and report.md in the output: a row for each variant, the best first. A variant that fails is in it ' +
      'with its reason.',
  ],
  run: async ({ options: values, positionals: [path = ''] }, context) => {
    const { variants, count, quality } = await readSweep(path);
    const asked = askedBatch('', { ...values, count, checkpoint: undefined }, SWEEP);
    const batch = withoutKeys(requestOf(asked), ['model', 'checkpointStep']);
    const input: SweepInput = { out: outputOf(values.out, SWEEP), variants, batch, quality };
    return start('sweepRecipes', input, values, SWEEP, context);
  },
});

function withoutKeys<T extends object, K extends keyof T & string>(from: T, keys: readonly K[]): Omit<T, K> {
  const left = Object.entries(from).filter(([key]) => !(keys as readonly string[]).includes(key));
  return Object.fromEntries(left) as Omit<T, K>;
}

/** As every worker finds it. */
function outputOf(out: string | undefined, usage: string): string {
  if (out === undefined) throw new UsageError('missing --out: where the images are kept', usage);
  return hasScheme(out) ? out.replace(/\/+$/, '') : resolve(out);
}

function requestOf({ settings, seed, ...rest }: AskedBatch): BatchRequest {
  return {
    ...rest,
    settings: samplingWire.SamplerSettings.toJSON(settings) as object,
    seed: seed.toString(),
  };
}

/** The same for the same kind of pipeline and the same output. */
function idOf(workflow: string, out: string): string {
  return `${workflow}-${createHash('sha256').update(out).digest('hex').slice(0, 16)}`;
}

async function start(
  workflow: string,
  input: { readonly out: string },
  values: Values<typeof temporalOptions>,
  usage: string,
  context: Context,
): Promise<number> {
  const { terminal } = context;
  return withTemporal(values, usage, context, async (client) => {
    const workflowId = idOf(workflow, input.out);
    await client.workflow.start(workflow, {
      ...{ taskQueue: values.queue, workflowId, args: [input] },
      workflowIdConflictPolicy: 'USE_EXISTING',
    });
    terminal.emit({ event: 'submitted', id: workflowId, out: input.out });
    terminal.print(`submitted ${workflowId}`);
    terminal.print(`  watch it:  npx ip-diffusion pipeline watch ${workflowId}`);
    terminal.print(`  cancel it: npx ip-diffusion pipeline cancel ${workflowId}`);
    return 0;
  });
}
