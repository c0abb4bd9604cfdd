/** The models of a store and their committed checkpoints; reads manifests, never weights. */

import { EVERYTHING, type Tenancy } from '../../shared/access/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import {
  bindingOf,
  checkpointSteps,
  listModels,
  newestCheckpoint,
  readCheckpoint,
  type Checkpoint,
  type DamagedCheckpoint,
} from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';

export interface ModelCatalogue {
  /** The catalogue as a caller sees it: another tenant's models are not there. */
  seenBy(tenancy: Tenancy): ModelCatalogue;
  /** Whether the name is free, or its model is one that may be seen. */
  isOpen(model: string): Promise<boolean>;
  /** The names of all models, sorted; those too that may not be seen. */
  names(signal: AbortSignal): Promise<string[]>;
  /** The steps of a model's committed checkpoints, newest first. @throws DiffusionError MODEL_NOT_FOUND. */
  steps(model: string, signal: AbortSignal): Promise<number[]>;
  /** One checkpoint. @throws as `readCheckpoint` of the models room. */
  checkpoint(model: string, step: number, signal: AbortSignal): Promise<Checkpoint>;
  /** What `use` makes of the newest good checkpoint; `onSkipped` is called with each newer one. @throws as `newestCheckpoint` of the models room. */
  newestGood<T>(
    model: string,
    use: (checkpoint: Checkpoint) => T | Promise<T>,
    signal: AbortSignal,
    onSkipped?: (damaged: DamagedCheckpoint) => void,
  ): Promise<T>;
}

/** @param onDamaged Called with each checkpoint that was skipped. */
export function modelCatalogue(
  store: ObjectStore,
  onDamaged: (model: string, damaged: DamagedCheckpoint) => void,
  { sees }: Tenancy = EVERYTHING,
): ModelCatalogue {
  return {
    seenBy: (tenancy) => modelCatalogue(store, onDamaged, tenancy),
    isOpen: async (model) => {
      const binding = await bindingOf(store, model);
      return binding === undefined || sees(binding.owner);
    },
    names: (signal) => listModels(store, { signal }),
    steps: (model, signal) => checkpointSteps(store, model, { signal, sees }),
    checkpoint: (model, step, signal) => readCheckpoint(store, model, step, { signal, sees }),
    newestGood: (model, use, signal, onSkipped = () => undefined) =>
      newestCheckpoint(store, model, use, {
        signal,
        sees,
        onDamaged: (damaged) => {
          onDamaged(model, damaged);
          onSkipped(damaged);
        },
      }),
  };
}

/** Whether an error concerns one checkpoint or model only, so that it must not hide the others of a list. */
export function isOwnFault(error: unknown): error is DiffusionError {
  return (
    error instanceof DiffusionError && ['NOT_FOUND', 'DATA_LOSS', 'FAILED_PRECONDITION'].includes(error.code)
  );
}
