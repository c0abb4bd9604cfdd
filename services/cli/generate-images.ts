/** A call of Generate or Encode: its progress on the terminal, its images in files. */

import { join } from 'node:path';

import { describeWeights } from '../../shared/checkpoint/index.js';
import { callStream } from '../../shared/rpc/index.js';
import { msFromDuration, samplerWire, weightsFromWire } from '../../shared/contract/index.js';
import type { Context } from './command.js';
import type { SamplerClient } from './connect.js';
import { leftFacts } from './describe-job.js';
import { formatCount, formatDuration, formatNumber } from './format.js';
import { openImageFiles, type ImageFiles, type ImagePaths } from './image-files.js';
import type { ProgressState } from './progress.js';

export interface Generated {
  /** Whole images that were saved. */
  readonly images: number;
  /** Whether they are in one picture as well. */
  readonly inPicture: boolean;
  /** Undefined where the call ended early. */
  readonly completed: samplerWire.Completed | undefined;
}

type SamplingEvent = samplerWire.GenerateResponse['event'];

/**
 * Samples images into files as they come. @param onEnd Called with what was saved, also where the call fails or is
 * cancelled. @throws DiffusionError as the sampler sent it, or DATA_LOSS for an image that came damaged.
 */
export async function generateImages(
  client: SamplerClient,
  request: samplerWire.GenerateRequest,
  paths: ImagePaths,
  context: Pick<Context, 'terminal' | 'signal'>,
  onEnd?: (generated: Generated) => void,
): Promise<Generated> {
  async function* events(): AsyncGenerator<SamplingEvent> {
    const { signal } = context;
    for await (const { event } of callStream(client, client.generate, request, { signal })) yield event;
  }
  return saveImages(events(), 'sampling', paths, context, onEnd);
}

/** As `generateImages`, for the x_T of images. */
export async function encodeImages(
  client: SamplerClient,
  request: samplerWire.EncodeRequest,
  paths: ImagePaths,
  context: Pick<Context, 'terminal' | 'signal'>,
  onEnd?: (generated: Generated) => void,
): Promise<Generated> {
  async function* events(): AsyncGenerator<SamplingEvent> {
    const { signal } = context;
    for await (const { event } of callStream(client, client.encode, request, { signal })) {
      if (event?.$case !== 'latent') yield event;
      else yield { $case: 'image', value: { ...samplerWire.GeneratedImage.create(), ...event.value } };
    }
  }
  return saveImages(events(), 'encoding', paths, context, onEnd);
}

async function saveImages(
  events: AsyncIterable<SamplingEvent>,
  label: 'sampling' | 'encoding',
  paths: ImagePaths,
  { terminal }: Pick<Context, 'terminal'>,
  onEnd: (generated: Generated) => void = () => undefined,
): Promise<Generated> {
  let files: ImageFiles | undefined;
  let completed: samplerWire.Completed | undefined;
  let generated: Generated;
  const progress = terminal.progress();
  try {
    for await (const event of events) {
      switch (event?.$case) {
        case undefined:
          break;
        case 'queued':
          terminal.emit({ event: 'queued', ...(samplerWire.Queued.toJSON(event.value) as object) });
          progress.update({ label: 'waiting', facts: queueFacts(event.value) });
          break;
        case 'accepted':
          terminal.emit({ event: 'accepted', ...(samplerWire.Accepted.toJSON(event.value) as object) });
          terminal.print(`${label} ${describeAccepted(event.value)}`);
          files = await openImageFiles(paths, event.value);
          break;
        case 'progress':
          terminal.emit({ event: 'progress', ...(samplerWire.Progress.toJSON(event.value) as object) });
          progress.update({ label, ...describeProgress(event.value) });
          break;
        case 'preview': {
          const { index, step } = event.value;
          const file = await files?.savePreview(event.value);
          if (file !== undefined) terminal.emit({ event: 'preview', index, step, file });
          break;
        }
        case 'trajectoryStep': {
          const { index, step } = event.value;
          const file = await files?.saveTrajectoryStep(event.value);
          if (file !== undefined) terminal.emit({ event: 'trajectoryStep', index, step, file });
          break;
        }
        case 'resumeToken':
          await files?.saveToken(event.value);
          break;
        case 'image': {
          const image = await files?.saveImage(event.value);
          if (image !== undefined)
            terminal.emit({ event: 'image', ...image, file: join(paths.folder, image.file) });
          break;
        }
        case 'completed':
          completed = event.value;
          terminal.emit({ event: 'completed', ...(samplerWire.Completed.toJSON(completed) as object) });
      }
    }
  } finally {
    progress.end();
    generated = {
      images: files?.count ?? 0,
      inPicture: (await files?.finish(completed)) ?? false,
      completed,
    };
    onEnd(generated);
  }
  return generated;
}

function describeAccepted({
  checkpoint,
  weights,
  timesteps,
  count,
  width,
  height,
}: samplerWire.Accepted): string {
  const model = `${checkpoint?.model ?? '?'} at step ${formatCount(checkpoint?.step ?? 0)}`;
  const which = describeWeights(weightsFromWire(weights) ?? 'raw');
  return `${formatCount(count)} images of ${width}x${height} in ${timesteps.length} steps from ${model}, ${which}`;
}

function queueFacts({ position, expectedStart }: samplerWire.Queued): string[] {
  return [
    `place ${formatCount(position)} in the queue`,
    ...(expectedStart === undefined ? [] : [`begins in ${formatDuration(msFromDuration(expectedStart))}`]),
  ];
}

function describeProgress(progress: samplerWire.Progress): Omit<ProgressState, 'label'> {
  const { stepsDone, stepsTotal, imagesDone, imagesTotal, elapsed, remaining } = progress;
  const seconds = elapsed === undefined ? 0 : msFromDuration(elapsed) / 1000;
  return {
    share: stepsTotal === 0n ? 0 : Number(stepsDone) / Number(stepsTotal),
    facts: [
      `${formatCount(imagesDone)}/${formatCount(imagesTotal)} images`,
      `${formatCount(stepsDone)}/${formatCount(stepsTotal)} steps`,
      ...(seconds > 0 ? [`${formatNumber(Number(stepsDone) / seconds)} steps/s`] : []),
      ...leftFacts(remaining && msFromDuration(remaining)),
    ],
  };
}
