/** Measures images in a child process, which is ended where the command is interrupted. */

import { engineEnvironment, type Clock, type Environment } from '../../../shared/foundation/index.js';
import { askChild, siblingModule } from '../../../shared/processes/index.js';
import type { QualityProgress, QualityResult } from '../../../shared/quality/index.js';
import {
  qualityProtocol,
  type FromQuality,
  type QualityRequest,
  type ToQuality,
} from './quality-messages.js';

export interface MeasureOptions {
  readonly environment: Environment;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: QualityProgress) => void;
}

const HEARTBEAT_TIMEOUT_MS = 120_000;

/** @throws DiffusionError as `measureQuality`, `openImageSet` and `openExtractor` do, and as `askChild` does. */
export async function measureInChild(
  request: QualityRequest,
  { environment, clock, signal, onProgress }: MeasureOptions,
): Promise<QualityResult> {
  const { result } = await askChild<ToQuality, FromQuality>({
    protocol: qualityProtocol,
    module: siblingModule(import.meta.url, '../quality-process'),
    environment: engineEnvironment(environment),
    heartbeatTimeoutMs: HEARTBEAT_TIMEOUT_MS,
    clock,
    request: { kind: 'measure', request },
    what: 'measuring',
    onProgress: ({ progress }) => {
      onProgress(progress);
    },
    signal,
    stop: { kind: 'stop' },
  });
  return result;
}
