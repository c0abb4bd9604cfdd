/** The process that decodes pictures from users; its parent is `picture-decoder.ts`. */

import { DiffusionError, isInvalid, shortened, systemClock } from '../foundation/index.js';
import { connectToParent } from '../processes/index.js';
import { decodeImage } from './decode-image.js';
import {
  decoderProtocol,
  MAX_MESSAGE_CHARACTERS,
  type DecodeMessage,
  type DecoderAnswer,
} from './decoder-protocol.js';

/** The largest picture that is allowed takes about a second. */
const OVERDUE_MS = 60_000;

const beganMs = new Map<number, number>();

const parent = connectToParent(
  decoderProtocol,
  (message) => {
    const { id } = message;
    beganMs.set(id, systemClock.monotonicMs());
    void answerTo(message).then((answer) => {
      beganMs.delete(id);
      parent.send(answer);
    });
  },
  () => {
    const nowMs = systemClock.monotonicMs();
    const isOverdue = [...beganMs.values()].some((began) => nowMs - began > OVERDUE_MS);
    return isOverdue ? `decoding a picture takes longer than ${OVERDUE_MS / 1000} s` : undefined;
  },
);

async function answerTo({ id, bytes, imageSize, channels }: DecodeMessage): Promise<DecoderAnswer> {
  try {
    return { kind: 'decoded', id, pixels: (await decodeImage(bytes, { imageSize, channels })).pixels };
  } catch (error) {
    const { reason, message } =
      error instanceof DiffusionError ? error : { reason: 'IMAGE_DAMAGED', message: String(error) };
    return {
      kind: 'refused',
      id,
      reason: isInvalid(reason) ? reason : 'IMAGE_DAMAGED',
      message: shortened(message, MAX_MESSAGE_CHARACTERS),
    };
  }
}
