/** Trusted SVG files -> pixels, in a process of its own, because this process refuses SVG. */
import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { abortError, DiffusionError, onAbort, throwIfAborted } from '../foundation/index.js';
import type { Channels } from './pixel-format.js';

/** What the process is asked for. */
export interface RasteriseRequest {
  readonly files: readonly string[];
  /** Width of every drawing in its own units, so that each is drawn at the wanted size at once. */
  readonly drawingSize: number;
  readonly imageSize: number;
  readonly channels: Channels;
  /** Receives the images one after the other, `[files, imageSize, imageSize, channels]` uint8. */
  readonly outputPath: string;
}

/** Names the way from drawings to pixels; part of a data set's identity as `decodingRecipe` is. */
export const rasterisingRecipe = 'svg, white, contain, v1';

/** What the process says. */
export type RasteriseMessage =
  | { readonly kind: 'progress'; readonly done: number }
  | { readonly kind: 'finished' }
  | { readonly kind: 'failed'; readonly message: string };

/**
 * Draws square SVG files on white and writes their pixels to one file, in order. Only for files that came with a
 * pinned package: SVG from users must never come here.
 *
 * @throws DiffusionError CANCELLED or the signal's own when it aborts, INTERNAL (reason RASTERISE_FAILED) when a file can't be drawn.
 */
export async function rasteriseSvgFiles(
  request: RasteriseRequest,
  onProgress: (done: number) => void,
  signal?: AbortSignal,
): Promise<void> {
  throwIfAborted(signal, 'rasterising');
  // The same file extension as this module's: .ts under a TypeScript loader, .js when built.
  const script = new URL(`./rasterise-process${extname(import.meta.url)}`, import.meta.url);
  const child = fork(fileURLToPath(script), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const stopListening = onAbort(signal, () => child.kill('SIGKILL'));
  try {
    await new Promise<void>((resolve, reject) => {
      let failure: string | undefined;
      let finished = false;
      child.on('message', (message: RasteriseMessage) => {
        if (message.kind === 'progress') onProgress(message.done);
        else if (message.kind === 'finished') finished = true;
        else failure = message.message;
      });
      child.on('error', (error) => {
        failure ??= error.message;
      });
      child.on('close', (code, signalName) => {
        if (signal?.aborted === true) reject(abortError(signal, 'rasterising'));
        else if (finished) resolve();
        else reject(failed(failure ?? `the process ended with ${signalName ?? `code ${String(code)}`}`));
      });
      child.send(request, (error) => {
        if (error !== null) failure ??= error.message;
      });
    });
  } finally {
    stopListening();
  }
}

function failed(message: string): DiffusionError {
  return new DiffusionError('RASTERISE_FAILED', `rasterising failed: ${message}`);
}
