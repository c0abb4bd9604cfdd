/** `batch`: large numbers of images, in shards, by any number of workers. */

import {
  adoptPlan,
  describePlan,
  findPlan,
  makePlan,
  noClaims,
  planSha256,
  readPlan,
  runBatch,
  sharedClaims,
  type AskedBatch,
  type BatchPlan,
  type SamplerPool,
} from '../../../shared/batch/index.js';
import { STORE_NOTES, STORE_PLACEHOLDER, type ObjectStore } from '../../../shared/store/index.js';
import { patientOutput, withOutput, withSamplers, workerOptions } from '../batch/batch-options.js';
import { batchReport } from '../batch/batch-progress.js';
import { askedBatch, planOptions } from '../batch/plan-options.js';
import { command, type Context, type Group } from '../command.js';
import { formatCount, formatNumber } from '../format.js';
import { flag, option, text, type Values } from '../options.js';
import { flagOf, UsageError } from '../parse-arguments.js';
import { batchCancel, batchStatusCommand, batchVerify } from './batch-inspect.js';
import { batchPack } from './batch-pack.js';

const USAGE = 'ip-diffusion batch';

const options = {
  ...planOptions,
  out: option(text(STORE_PLACEHOLDER), 'where the batch is kept; required'),
  planOnly: flag('write plan.json and make no image: for schedulers, whose workers then need --out alone'),
  ...workerOptions,
};

type BatchValues = Values<typeof options>;

const run = command({
  name: 'run',
  summary: 'makes the images that the output still lacks',
  positionals: [
    {
      name: 'MODEL',
      help: 'the name of a model; none to go on with the batch that is in the output',
      optional: true,
    },
  ],
  options,
  examples: [
    { arguments: 'flowers --count 50000 --steps 80 --out flowers-50k', does: '100 shards of 500 images' },
    {
      arguments: 'flowers --count 50000 --out s3://images/flowers --server a:50062 --server b:50062',
      does: 'by two samplers of one store, into a bucket',
    },
    { arguments: '--out s3://images/flowers', does: 'one worker more, on any machine' },
    {
      arguments: '--out s3://images/flowers --shard 3/16',
      does: "the fourth of a scheduler's 16 workers",
    },
  ],
  notes: [
    'The first worker writes plan.json; others, and the same command once more, make what is still missing. Any of them may ' +
      'be killed at any moment. With another plan for the same output nothing is made.',
    ...STORE_NOTES,
  ],
  run: async ({ options: values, positionals: [model = ''] }, context) => {
    const { out } = values;
    if (out === undefined) throw new UsageError('missing --out: where the batch is kept', USAGE);
    const asked = model === '' ? undefined : askedBatch(model, values, USAGE);
    if (asked === undefined) refusePlanOptions(values);
    return withOutput(
      out,
      context,
      async (output) => {
        // Before anything is repeated: settings that are wrong don't get better.
        const stored = await findPlan(output);
        return withSamplers(values, context, async (pool) => {
          const plan =
            asked === undefined
              ? await readPlan(output)
              : await plannedIn(output, pool, stored, asked, values, context);
          context.terminal.emit({ event: 'plan', sha256: planSha256(plan), images: plan.count });
          context.terminal.print(describePlan(plan));
          if (!values.planOnly) await work(output, plan, pool, values, context);
          return 0;
        });
      },
      { mustExist: asked === undefined },
    );
  },
});

export const batch: Group = {
  name: 'batch',
  summary: 'makes large numbers of images in shards, by any number of workers',
  commands: [batchStatusCommand, batchVerify, batchCancel, batchPack],
  otherwise: run,
};

/** Without a model the plan is the output's: what belongs to a plan would be ignored. */
function refusePlanOptions(values: BatchValues): void {
  for (const [key, { fallback }] of Object.entries(planOptions)) {
    if (values[key as keyof typeof planOptions] === fallback) continue;
    throw new UsageError(
      `${flagOf(key)} goes with MODEL: without one the batch of --out goes on as it is`,
      USAGE,
    );
  }
}

/** The plan that is asked for, which is the output's from now on. @throws DiffusionError where that has another one. */
async function plannedIn(
  output: ObjectStore,
  pool: SamplerPool,
  stored: BatchPlan | undefined,
  asked: AskedBatch,
  { priority }: BatchValues,
  { signal }: Context,
): Promise<BatchPlan> {
  // The newest checkpoint may be another one by now.
  const kept = stored?.model === asked.model ? stored.checkpoint.step : undefined;
  const checkpointStep = asked.checkpointStep ?? kept;
  const plan = await makePlan(pool, { ...asked, checkpointStep }, priority, signal);
  await adoptPlan(output, plan, { signal });
  return plan;
}

async function work(
  output: ObjectStore,
  plan: BatchPlan,
  pool: SamplerPool,
  { shard: part, workers = 2 * pool.size(), wait, priority, out = '' }: BatchValues,
  context: Context,
): Promise<void> {
  const { terminal, clock, signal } = context;
  const store = patientOutput(output, wait, context);
  const report = batchReport(context);
  try {
    // A scheduler says who makes which shard.
    const claims = part === undefined ? sharedClaims(store, { clock }) : noClaims;
    const { total, made } = await runBatch({
      ...{ store, plan, pool, claims, part, workers, priority, signal },
      ...{ onProgress: report.onProgress, onShard: report.onShard },
    });
    report.end();
    terminal.emit({ event: 'completed', images: total, made, imagesPerSecond: report.rate() });
    const rate = made === 0 ? '' : ` (${formatNumber(report.rate())} images/s)`;
    terminal.print(`${formatCount(total)} images in ${out}, ${formatCount(made)} of them made now${rate}`);
  } catch (error) {
    report.end();
    if (signal.aborted) terminal.print(`stopped; to go on: npx ${USAGE} --out ${out}`);
    throw error;
  }
}
