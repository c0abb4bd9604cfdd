/** The sampler's settings; the only place of this service that reads the environment. */

import {
  engineEnvironment,
  engineHeartbeatTimeoutMs,
  environmentReader,
  type Environment,
} from '../../shared/foundation/index.js';
import { siblingModule } from '../../shared/processes/index.js';
import { serverSettings, type ServerSettings } from '../../shared/rpc/index.js';
import { storeSettings, type StoreSettings } from '../../shared/store/index.js';
import type { EngineSettings } from './prediction-engine.js';

export interface SamplerServiceSettings extends ServerSettings {
  readonly store: StoreSettings;
  readonly engine: EngineSettings;
  /** The key that resume tokens are signed with; undefined for one that is kept in the store. */
  readonly tokenKeyFile: string | undefined;
  /** Images of one call, at most. */
  readonly maxImages: number;
  /** Network evaluations (count times steps) under way at once, over all calls. */
  readonly maxEvaluations: number;
  /** Models that stay loaded; one more engine runs while a model is being replaced. */
  readonly maxLoadedModels: number;
  /** Images of one call in work or unread at once. */
  readonly window: number;
  /** How long a service that stops waits for connections to close. */
  readonly graceMs: number;
}

// Two passes take turns: what one leaves the engine waiting for, solvers and messages, is done while the other runs. Passes of
// 32 were 8 % slower in all.
const MAX_ROWS = 16;
const BATCH_SIZES = [1, 2, 4, 8, MAX_ROWS];

/** @throws DiffusionError INVALID_ARGUMENT naming each variable that is wrong. */
export function readSettings(env: Environment = process.env): SamplerServiceSettings {
  const reader = environmentReader(env);
  const { integer, optional, check } = reader;
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
    maxEvaluations: integer('IP_DIFFUSION_SAMPLER_MAX_EVALUATIONS', 4096 * 1000),
    maxLoadedModels: integer('IP_DIFFUSION_SAMPLER_MAX_MODELS', 2),
    // Two passes' worth: while one half is in the engine, the other half's solvers compute.
    window: 2 * MAX_ROWS,
    graceMs: 10_000,
  };
  check();
  return settings;
}
