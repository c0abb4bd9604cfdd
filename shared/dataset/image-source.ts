/** What every kind of source offers to the cache of packed pixels. */
import type { SourceContents } from './manifest.js';

/** Called as images are prepared. */
export type OnProgress = (progress: {
  readonly done: number;
  /** Undefined where it shows at the end only. */
  readonly total: number | undefined;
}) => void;

export interface ImageSource {
  /** Names everything that decides the pixels without reading the images; the cache's key. */
  readonly fingerprint: string;
  /** Prepares the images and writes their pixels one after the other to `outputPath`. */
  prepare(outputPath: string, onProgress: OnProgress, signal?: AbortSignal): Promise<SourceContents>;
}
