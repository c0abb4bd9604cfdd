/** Jobs, recipes and estimates as people read them. */

import { describeWeights } from '../../shared/checkpoint/index.js';
import {
  errorReasons,
  jobStates,
  msFromDuration,
  recipeFromWire,
  type recipeWire,
  type trainerWire,
} from '../../shared/contract/index.js';
import { describeSource } from '../../shared/dataset/index.js';
import type { PartialRecipe } from '../../shared/recipe/index.js';
import { given } from './given.js';
import { formatBytes, formatCount, formatDuration, formatNumber, table } from './format.js';

type Job = trainerWire.TrainingJob;

export function stateOf({ state, failureReason }: Pick<Job, 'state' | 'failureReason'>): string {
  const reason = errorReasons.read(failureReason);
  return [jobStates.read(state) ?? 'UNKNOWN', ...(reason === undefined ? [] : [`(${reason})`])].join(' ');
}

/** `12 of 1,000`. */
export function stepsOf({ step, recipe }: Job): string {
  const total = recipe?.training?.steps;
  return formatCount(step) + (total === undefined ? '' : ` of ${formatCount(total)}`);
}

/** One fact a line, aligned. */
export function describeJob(job: Job): string[] {
  const { latestMetrics: metrics, recipe } = job;
  return table([
    ['job', job.jobId],
    ['model', job.model],
    ...(job.owner === '' ? [] : [['owner', job.owner]]),
    ['state', stateOf(job)],
    ...(job.message === '' ? [] : [['', job.message]]),
    ['steps', stepsOf(job)],
    ['checkpoint', job.checkpointStep === 0 ? 'none yet' : `step ${formatCount(job.checkpointStep)}`],
    ...(metrics === undefined ? [] : [['last metrics', metricsFacts(metrics).slice(1).join(', ')]]),
    ...(recipe === undefined ? [] : recipeFacts(recipe)),
    ['attempts', String(job.attempt)],
    ['created', timeOf(job.createTime)],
    ...(job.startTime === undefined ? [] : [['started', timeOf(job.startTime)]]),
    ...(job.endTime === undefined ? [] : [['ended', timeOf(job.endTime)]]),
    ['updated', timeOf(job.updateTime)],
  ]);
}

/** The step, the loss, the rate and the time left; then what the loss is made of. */
export function metricsFacts(metrics: trainerWire.StepMetrics): string[] {
  const { step, totalSteps, remaining } = metrics;
  const leftMs = remaining && msFromDuration(remaining);
  return progressFacts(`${formatCount(step)}/${formatCount(totalSteps)}`, metrics, leftMs);
}

/** As `metricsFacts`, with the step and the time left in the caller's words. */
export function progressFacts(
  step: string,
  { loss, mse, vlb, gradientPenalty, imagesPerSecond }: trainerWire.StepMetrics,
  leftMs: number | undefined,
): string[] {
  return [
    `step ${step}`,
    `loss ${formatNumber(loss)}`,
    ...(imagesPerSecond > 0 ? [`${formatNumber(imagesPerSecond)} images/s`] : []),
    ...leftFacts(leftMs),
    ...(vlb === undefined ? [] : [`mse ${formatNumber(mse)}`, `vlb ${formatNumber(vlb)}`]),
    ...(gradientPenalty === undefined ? [] : [`gradient penalty ${formatNumber(gradientPenalty)}`]),
  ];
}

/** The time left, where there is some. */
export function leftFacts(leftMs: number | undefined): string[] {
  return leftMs === undefined || leftMs < 500 ? [] : [`${formatDuration(leftMs)} left`];
}

/** The estimate of --validate-only. */
export function describeEstimate(estimate: trainerWire.TrainingEstimate): string[] {
  const { duration, dataset } = estimate;
  const recipe = given(estimate.recipe);
  return table([
    ['model', recipe.name],
    ...recipeFacts(recipe),
    ['network', `${formatCount(estimate.parameterCount)} parameters`],
    ['memory', `${formatBytes(Number(estimate.memoryBytes))} at most`],
    ['checkpoint', formatBytes(Number(estimate.checkpointBytes))],
    ...(duration === undefined
      ? []
      : [
          [
            'time',
            `about ${formatDuration(msFromDuration(duration))} for ${formatCount(recipe.training?.steps ?? 0n)} steps`,
          ],
        ]),
    ...(dataset === undefined ? [] : datasetFacts(dataset)),
  ]);
}

/** The settings in which recipes differ most. */
export function recipeFacts(wire: recipeWire.TrainingRecipe): string[][] {
  const { preset, variant, inputPerturbation, noiseSchedule, dataset, training, warmStart } =
    recipeFromWire(wire);
  const source = describeSource(dataset?.source);
  const size = String(dataset?.imageSize ?? '?');
  return [
    [
      'recipe',
      `${variant ?? '?'}, gamma ${String(inputPerturbation?.gamma ?? '?')}, preset ${preset ?? '?'}`,
    ],
    ['schedule', scheduleFact(noiseSchedule)],
    ['images', `${source} at ${size}x${size}, ${String(training?.batchSize ?? '?')} in a batch`],
    ...(warmStart === undefined ? [] : [['starts from', weightsIn(warmStart)]]),
  ];
}

function scheduleFact(schedule: PartialRecipe['noiseSchedule']): string {
  const { name, timesteps, respacing = '' } = schedule ?? {};
  const respaced = respacing === '' ? '' : `, respaced to ${respacing}`;
  return `${name ?? '?'}, T = ${String(timesteps ?? '?')}${respaced}`;
}

function weightsIn({ model, checkpointStep, weights }: NonNullable<PartialRecipe['warmStart']>): string {
  const which = weights === undefined ? 'EMA weights of the largest rate' : describeWeights(weights);
  return `${model ?? '?'} at step ${String(checkpointStep ?? 'newest')}, ${which}`;
}

function datasetFacts(found: trainerWire.DatasetReport): string[][] {
  const { minWidth, minHeight, maxWidth, maxHeight, classNames, skipped } = found;
  return [
    [
      'data set',
      `${formatCount(found.imageCount)} images, ${minWidth}x${minHeight} to ${maxWidth}x${maxHeight}`,
    ],
    ...(classNames.length === 0 ? [] : [['classes', classNames.join(', ')]]),
    ...skipped.map(({ reason, count, examples }) => [
      'skipped',
      `${formatCount(count)} ${reason}: ${examples.join(', ')}`,
    ]),
  ];
}

export function timeOf(time: Date | undefined): string {
  return time === undefined ? '' : `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
