/** Output of a call -> the messages that carry it. */

import {
  imageChunks,
  imageFormats,
  type OutputFormat,
  type samplerWire,
  type samplingWire,
} from '../../shared/contract/index.js';
import { encodeOutput } from './encode-output.js';
import type { ImageOutput } from './output-buffer.js';
import type { ImageSeries } from './resolve-generation.js';
import { writeResumeToken } from './resume-token.js';

export type GenerateEvent = NonNullable<samplerWire.GenerateResponse['event']>;

export async function* eventsOf(
  { seed, shape, format, resumable }: ImageSeries,
  output: ImageOutput,
  tokenKey: Buffer,
): AsyncGenerator<GenerateEvent, void, undefined> {
  const { index } = output;
  switch (output.kind) {
    case 'image':
      for (const chunk of chunks(output.bytes, format))
        yield { $case: 'image', value: { index, seed, chunk } };
      return;
    case 'preview': {
      const { step, predXStart } = output;
      for (const chunk of await encodedChunks(predXStart, 'png'))
        yield { $case: 'preview', value: { index, step, chunk } };
      return;
    }
    case 'trajectory': {
      const { step, sample } = output;
      for (const chunk of await encodedChunks(sample, 'raw_float32'))
        yield { $case: 'trajectoryStep', value: { index, step, chunk } };
      return;
    }
    case 'token': {
      const { step, state } = output;
      const token = writeResumeToken({ ...resumable, index, state }, tokenKey);
      yield { $case: 'resumeToken', value: { index, step, token } };
    }
  }

  async function encodedChunks(
    image: Float32Array,
    as: OutputFormat,
  ): Promise<Iterable<samplingWire.ImageChunk>> {
    return chunks(await encodeOutput(image, shape, as), as);
  }

  function chunks(bytes: Uint8Array, as: OutputFormat): Iterable<samplingWire.ImageChunk> {
    return imageChunks({ ...shape, format: imageFormats.write(as), bytes });
  }
}
