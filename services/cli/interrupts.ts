/** Ctrl-C and its like: the first one aborts a signal, a second Ctrl-C ends the program at once. */

import { systemClock } from '../../shared/foundation/index.js';

// npx passes on the Ctrl-C that the terminal has sent already; a person is slower than that.
const SAME_PRESS_MS = 300;

export const INTERRUPTED = 130;

/** Listens for SIGINT, SIGTERM and SIGHUP, and for a closed output; the signal aborts at the first one. */
export function listenForInterrupts(): { signal: AbortSignal; stopListening: () => void } {
  const controller = new AbortController();
  let pressedMs: number | undefined;
  const onPress = (): void => {
    const now = systemClock.monotonicMs();
    if (pressedMs !== undefined && now - pressedMs > SAME_PRESS_MS) process.exit(INTERRUPTED);
    pressedMs ??= now;
    controller.abort();
  };
  // These come from programs, npm's among them, in addition to the Ctrl-C that they pass on.
  const onRequest = (): void => {
    controller.abort();
  };
  process.on('SIGINT', onPress).on('SIGTERM', onRequest).on('SIGHUP', onRequest);
  // The reader of the output may stop reading (`| head`).
  process.stdout.on('error', onRequest);
  return {
    signal: controller.signal,
    stopListening: () => {
      process.off('SIGINT', onPress).off('SIGTERM', onRequest).off('SIGHUP', onRequest);
    },
  };
}
