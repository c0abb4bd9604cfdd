/** One measurement in a process of its own, which asks for rows of the network. */

import {
  abortError,
  deferred,
  DiffusionError,
  onAbort,
  throwIfAborted,
  type Clock,
} from '../../../shared/foundation/index.js';
import type { MeasureResult } from '../../../shared/exposure/index.js';
import { describeExit, exitDetail, failureOf, startChild } from '../../../shared/processes/index.js';
import type { NetworkRow } from '../../../shared/sampler/index.js';
import { measuringProtocol, type FoundInputs, type FromMeasuring, type MeasureMessage } from './messages.js';

export interface MeasuringSettings {
  /** What the process runs. */
  readonly module: URL;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly heartbeatTimeoutMs: number;
}

export interface MeasuringContext {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly predict: (row: NetworkRow) => Promise<Float32Array>;
  readonly onProgress: (progress: Extract<FromMeasuring, { readonly kind: 'progress' }>) => void;
  /** Statistics of references, by a hash of the images and the extractor. */
  readonly findStatistics: (sha256: string) => Promise<Uint8Array | undefined>;
  readonly keepStatistics: (sha256: string, bytes: Uint8Array) => Promise<void>;
  /** Called once, before anything is measured. False ends the process: then nothing is measured. */
  readonly onInputs: (inputs: FoundInputs) => Promise<boolean>;
}

export interface Measured {
  readonly results: readonly MeasureResult[];
  /** Of the extractor; 0 without one. */
  readonly features: number;
}

/**
 * Undefined where `onInputs` said so. The process is gone when this settles.
 *
 * @throws DiffusionError as the process says; the signal's reason; UNAVAILABLE (ENGINE_LOST) where it ended without an answer;
 * what `predict` and `onInputs` throw.
 */
export async function measureInProcess(
  message: MeasureMessage,
  settings: MeasuringSettings,
  { clock, signal, predict, onProgress, onInputs, findStatistics, keepStatistics }: MeasuringContext,
): Promise<Measured | undefined> {
  throwIfAborted(signal, 'measuring');
  const { promise: answered, resolve, reject } = deferred<Measured | undefined>();

  function onMessage(from: FromMeasuring): void {
    switch (from.kind) {
      case 'progress':
        onProgress(from);
        return;
      case 'row':
        answerRow(from).catch(reject);
        return;
      case 'find-statistics':
        findStatistics(from.sha256).then((bytes) => {
          child.send({ kind: 'statistics', ...(bytes !== undefined && { bytes }) });
        }, reject);
        return;
      case 'keep-statistics':
        keepStatistics(from.sha256, from.bytes).catch(reject);
        return;
      case 'inputs':
        onInputs(from).then((goesOn) => {
          if (goesOn) child.send({ kind: 'proceed' });
          else resolve(undefined);
        }, reject);
        return;
      case 'measured':
        resolve(from);
        return;
      case 'failed': {
        const { reason, message: text, violations, metadata } = from.failure;
        reject(new DiffusionError(reason, text, { violations, metadata }));
      }
    }
  }

  async function answerRow({
    id,
    xT,
    t,
    y,
  }: Extract<FromMeasuring, { readonly kind: 'row' }>): Promise<void> {
    try {
      child.send({ kind: 'predicted', id, output: await predict({ xT, t, y }) });
    } catch (error) {
      child.send({ kind: 'refused', id, failure: failureOf(error) });
    }
  }

  const child = startChild({ ...settings, clock, protocol: measuringProtocol, onMessage });
  void child.exited.then((exit) => {
    const text = `measuring: its process ${describeExit(exit)}`;
    reject(new DiffusionError('ENGINE_LOST', text, { cause: exitDetail(exit) }));
  });
  const stopListening = onAbort(signal, () => {
    reject(abortError(signal, 'measuring'));
  });
  try {
    child.send(message);
    return await answered;
  } finally {
    stopListening();
    child.kill();
    await child.exited;
  }
}
