/** One Generate call, shown as it goes on, whose images end up in files. */

import { join } from 'node:path';

import { callStream } from '../../shared/rpc/index.js';
import { msFromDuration, samplerWire } from '../../shared/contract/index.js';
import type { Context } from './command.js';
import type { SamplerClient } from './connect.js';
import { leftFacts } from './describe-job.js';
import { formatCount, formatNumber } from './format.js';
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

/**
 * Draws images into files as they come. @param onEnd Told what there is, also where the call fails or is cancelled.
 * @throws DiffusionError as the sampler sent it, or DATA_LOSS for an image that came damaged.
 */
export async function generateImages(
  client: SamplerClient,
  request: samplerWire.GenerateRequest,
  paths: ImagePaths,
  { terminal, signal }: Pick<Context, 'terminal' | 'signal'>,
  onEnd: (generated: Generated) => void = () => undefined,
): Promise<Generated> {
  let files: ImageFiles | undefined;
  let completed: samplerWire.Completed | undefined;
  let generated: Generated;
  const progress = terminal.progress();
  try {
    for await (const { event } of callStream(client, client.generate, request, { signal })) {
      switch (event?.$case) {
        case undefined:
          break;
        case 'accepted':
          terminal.emit({ event: 'accepted', ...(samplerWire.Accepted.toJSON(event.value) as object) });
          terminal.print(describeAccepted(event.value));
          files = await openImageFiles(paths, event.value);
          break;
        case 'progress':
          terminal.emit({ event: 'progress', ...(samplerWire.Progress.toJSON(event.value) as object) });
          progress.update(describeProgress(event.value));
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
  emaRate,
  timesteps,
  count,
  width,
  height,
}: samplerWire.Accepted): string {
  const model = `${checkpoint?.model ?? '?'} at step ${formatCount(checkpoint?.step ?? 0n)}`;
  const weights = emaRate === 0 ? 'without averaging' : `EMA rate ${emaRate}`;
  return `drawing ${formatCount(count)} images of ${width}x${height} in ${timesteps.length} steps from ${model}, ${weights}`;
}

function describeProgress(progress: samplerWire.Progress): ProgressState {
  const { stepsDone, stepsTotal, imagesDone, imagesTotal, elapsed, eta } = progress;
  const seconds = elapsed === undefined ? 0 : msFromDuration(elapsed) / 1000;
  return {
    label: 'sampling',
    share: stepsTotal === 0n ? 0 : Number(stepsDone) / Number(stepsTotal),
    facts: [
      `${formatCount(imagesDone)}/${formatCount(imagesTotal)} images`,
      `${formatCount(stepsDone)}/${formatCount(stepsTotal)} steps`,
      ...(seconds > 0 ? [`${formatNumber(Number(stepsDone) / seconds)} steps/s`] : []),
      ...leftFacts(eta && msFromDuration(eta)),
    ],
  };
}
