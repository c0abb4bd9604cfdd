/** The sampler's settings; the only place of this service that reads the environment. */

import {
  engineEnvironment,
  engineHeartbeatTimeoutMs,
  environmentReader,
  machineMemoryBytes,
  type Environment,
} from '../../shared/foundation/index.js';
import { siblingModule } from '../../shared/processes/index.js';
import { serverSettings, type ReceivingLimits, type ServerSettings } from '../../shared/rpc/index.js';
import { storeSettings, type StoreSettings } from '../../shared/store/index.js';
import type { AdmissionLimits } from './admission.js';
import type { EngineSettings } from './prediction-engine.js';

export interface SamplerServiceSettings extends ServerSettings {
  readonly store: StoreSettings;
  readonly engine: EngineSettings;
  /** The key that resume tokens are signed with; undefined for one that is kept in the store. */
  readonly tokenKeyFile: string | undefined;
  /** Images of one call, at most. */
  readonly maxImages: number;
  readonly admission: AdmissionLimits;
  readonly receiving: ReceivingLimits;
  /** Pictures of requests that are decoded at once. */
  readonly decodesAtOnce: number;
  /** Models that stay loaded; one more engine runs while a model is being replaced. */
  readonly maxLoadedModels: number;
  /** How long a call for the newest checkpoint waits for its weights while an older one could serve it. */
  readonly swapWaitMs: number;
  /** Memory that loaded models may take; twice as much while one is being replaced. */
  readonly maxModelBytes: number;
  /** How long a call may wait for its reader, all waits together. */
  readonly slowReaderLimitMs: number;
  /** Images of one call in work or unread at once. */
  readonly window: number;
  /** How long a service that stops waits for connections to close. */
  readonly graceMs: number;
}

// Two passes take turns: what one leaves the engine waiting for, solvers and messages, is done while the other runs. Passes of
// 32 were 8 % slower in all.
const MAX_ROWS = 16;
const MIB = 1024 ** 2;
const BATCH_SIZES = [1, 2, 4, 8, MAX_ROWS];

/** @throws DiffusionError INVALID_ARGUMENT naming each variable that is wrong. */
export function readSettings(env: Environment = process.env): SamplerServiceSettings {
  const reader = environmentReader(env);
  const { integer, percent, optional, check } = reader;
  const settings = {
    ...serverSettings('sampler', reader),
    store: storeSettings(env),
    engine: {
      module: siblingModule(import.meta.url, './engine-process/main'),
      environment: engineEnvironment(env),
      batchSizes: BATCH_SIZES,
      heartbeatTimeoutMs: engineHeartbeatTimeoutMs(reader),
    },
    tokenKeyFile: optional('IP_DIFFUSION_RESUME_KEY_FILE'),
    maxImages: integer('IP_DIFFUSION_SAMPLER_MAX_IMAGES', 4096),
    admission: {
      calls: integer('IP_DIFFUSION_SAMPLER_MAX_CALLS', 64),
      cost: 1e6 * integer('IP_DIFFUSION_SAMPLER_MAX_COST', 40_000),
      bytes: MIB * integer('IP_DIFFUSION_SAMPLER_MAX_WORKING_MIB', 1024),
      waiting: integer('IP_DIFFUSION_SAMPLER_MAX_WAITING', 256),
      requestBytes: MIB * integer('IP_DIFFUSION_SAMPLER_MAX_REQUESTS_MIB', 512),
      callerShare: percent('IP_DIFFUSION_SAMPLER_CALLER_PERCENT', 50) / 100,
    },
    receiving: {
      maxBytes: MIB * integer('IP_DIFFUSION_SAMPLER_MAX_RECEIVING_MIB', 256),
      timeoutMs: 1000 * integer('IP_DIFFUSION_SAMPLER_RECEIVING_SECONDS', 60),
    },
    decodesAtOnce: integer('IP_DIFFUSION_SAMPLER_MAX_DECODES', 2),
    maxLoadedModels: integer('IP_DIFFUSION_SAMPLER_MAX_MODELS', 2),
    swapWaitMs: integer('IP_DIFFUSION_SAMPLER_SWAP_WAIT_MS', 30_000, 0),
    slowReaderLimitMs: 60_000 * integer('IP_DIFFUSION_SAMPLER_SLOW_READER_MINUTES', 30),
    maxModelBytes:
      MIB * integer('IP_DIFFUSION_SAMPLER_MODELS_MIB', Math.floor(machineMemoryBytes() / 2 / MIB)),
    // Two passes' worth: while one half is in the engine, the other half's solvers compute.
    window: 2 * MAX_ROWS,
    graceMs: 10_000,
  };
  check();
  return settings;
}
