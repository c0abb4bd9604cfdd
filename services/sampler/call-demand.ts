/** What a call needs, before it begins. */

import type { samplerWire } from '../../shared/contract/index.js';
import type { Demand } from './admission-limits.js';
import type { SeriesPlan } from './resolve-generation.js';
import { MAX_TRAJECTORY_STEPS } from './output-buffer.js';
import type { SampleRequest } from './sample-request.js';

const FLOAT_BYTES = 4;
/**
 * Arrays of an image's size that an image in work or unread has: x_t, x_T, the predicted x_0, what its solver remembers
 * of up to three earlier steps, the network's output (with its variance twice as large), and its encoded output.
 */
const ARRAYS_AN_IMAGE = 9;

/** @param window Images of one call in work or unread at once. */
export function demandOf(request: SampleRequest, series: SeriesPlan, window: number): Demand {
  const { count, evaluations, shape, reports } = series;
  const pixels = shape.width * shape.height;
  const values = pixels * shape.channels;
  const inWork = Math.min(count, window) * ARRAYS_AN_IMAGE;
  const trajectory = reports.trajectoryEverySteps > 0 ? MAX_TRAJECTORY_STEPS : 0;
  const inpainting = request.inpainting === undefined ? 0 : 2;
  // Start images stay as bytes until their image begins.
  const starts = request.start?.kind === 'image' ? request.start.images.length : 0;
  return {
    cost: evaluations * pixels,
    bytes: values * (FLOAT_BYTES * (inWork + trajectory + inpainting) + starts),
  };
}

/** Bytes that a request takes: its pictures and latents, and its tokens beside the states that are read from them. */
export function bytesOfGenerate({ images }: samplerWire.GenerateRequest): number {
  switch (images?.$case) {
    case undefined:
      return 0;
    case 'newImages':
      return sumOf(picturesOf(images.value));
    case 'resumedImages': {
      const { request, tokens } = images.value;
      return sumOf(request === undefined ? [] : picturesOf(request)) + 2 * sumOf(tokens);
    }
  }
}

export function bytesOfEncode({ images }: samplerWire.EncodeRequest): number {
  return sumOf(images);
}

function picturesOf({ start, inpainting }: samplerWire.NewImages): Uint8Array[] {
  const starts = start?.$case === 'startImages' ? start.value.images : (start?.value.latents ?? []);
  return inpainting === undefined ? starts : [...starts, inpainting.image, inpainting.mask];
}

function sumOf(arrays: readonly { readonly byteLength: number }[]): number {
  return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0);
}
