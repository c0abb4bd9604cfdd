/** Decodes pictures from users in a process of its own: a picture that kills or occupies its decoder costs no service. */

import {
  abortError,
  deferred,
  DiffusionError,
  onAbort,
  throwIfAborted,
  type Clock,
  type Deferred,
} from '../foundation/index.js';
import { describeExit, exitDetail, siblingModule, startChild, type Child } from '../processes/index.js';
import type { DecodeOptions } from './decode-image.js';
import { decoderProtocol, type DecodeMessage, type DecoderAnswer } from './decoder-protocol.js';

export interface PictureDecoder {
  /**
   * As `decodeImage`. Aborting the signal takes a picture that waits out of the queue; one that is being decoded is
   * decoded, and nobody gets it.
   *
   * @returns `[imageSize, imageSize, channels]` uint8.
   * @throws DiffusionError as `decodeImage`; UNAVAILABLE (reason DECODER_LOST) where the process ended twice while it
   * decoded the picture; the signal's reason.
   */
  decode(bytes: Uint8Array, options: DecodeOptions, signal: AbortSignal): Promise<Uint8Array>;
  /** Ends the process; pictures that aren't decoded fail. */
  close(): Promise<void>;
}

export interface PictureDecoderOptions {
  /** Pictures that are decoded at once. Each takes up to 64 MiB, whatever its file's size. */
  readonly atOnce: number;
  /** The process's whole environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly heartbeatTimeoutMs: number;
  readonly clock: Clock;
}

interface Picture {
  readonly message: DecodeMessage;
  readonly answer: Deferred<Uint8Array>;
  /** Processes that have ended while they decoded it. */
  losses: number;
}

const PICTURE = 'decoding a picture';
const MAX_LOSSES = 2;
const RETRY_AFTER_MS = 1000;

/** Starts its process with the first picture. */
export function pictureDecoder(options: PictureDecoderOptions): PictureDecoder {
  const waiting = new Set<Picture>();
  const inWork = new Map<number, Picture>();
  let child: Child<DecodeMessage> | undefined;
  let ended: Promise<void> = Promise.resolve();
  let closed = false;
  let lastId = 0;

  function sendNext(): void {
    for (const picture of waiting) {
      if (inWork.size >= options.atOnce) return;
      waiting.delete(picture);
      inWork.set(picture.message.id, picture);
      child ??= start();
      child.send(picture.message);
    }
  }

  function start(): Child<DecodeMessage> {
    const { environment, heartbeatTimeoutMs, clock } = options;
    const started = startChild({
      module: siblingModule(import.meta.url, './decode-process'),
      ...{ protocol: decoderProtocol, environment, heartbeatTimeoutMs, clock },
      onMessage: (message) => {
        if (!take(message)) started.refuse(message);
      },
    });
    ended = started.exited.then((exit) => {
      child = undefined;
      const lost = new DiffusionError(
        'DECODER_LOST',
        `the process that decodes pictures ${describeExit(exit)}`,
        {
          retryAfterMs: RETRY_AFTER_MS,
          cause: exitDetail(exit),
        },
      );
      // The other pictures in work may have done nothing wrong: each is tried once more.
      for (const picture of inWork.values()) {
        picture.losses += 1;
        if (picture.losses < MAX_LOSSES && !closed) waiting.add(picture);
        else picture.answer.reject(lost);
      }
      inWork.clear();
      sendNext();
    });
    return started;
  }

  /** Handles an answer. False where it answers nothing that was asked. */
  function take(message: DecoderAnswer): boolean {
    const picture = inWork.get(message.id);
    if (picture === undefined) return false;
    const { imageSize, channels } = picture.message;
    if (message.kind === 'refused')
      picture.answer.reject(new DiffusionError(message.reason, message.message));
    else if (message.pixels.length === imageSize ** 2 * channels) picture.answer.resolve(message.pixels);
    else return false;
    inWork.delete(message.id);
    sendNext();
    return true;
  }

  return {
    decode: async (bytes, { imageSize, channels }, signal) => {
      throwIfAborted(signal, PICTURE);
      if (closed) throw new DiffusionError('SERVICE_STOPPING', 'the service is stopping');
      const answer = deferred<Uint8Array>();
      const message = { kind: 'decode' as const, id: ++lastId, bytes, imageSize, channels };
      const picture = { message, answer, losses: 0 };
      waiting.add(picture);
      const stopListening = onAbort(signal, () => {
        waiting.delete(picture);
        answer.reject(abortError(signal, PICTURE));
      });
      sendNext();
      try {
        return await answer.promise;
      } finally {
        stopListening();
      }
    },
    close: async () => {
      closed = true;
      for (const { answer } of waiting)
        answer.reject(new DiffusionError('SERVICE_STOPPING', 'the service is stopping'));
      waiting.clear();
      child?.kill();
      await ended;
    },
  };
}
