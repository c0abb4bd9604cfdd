/** The sampler's settings; the only place of this service that reads the environment. */

import { engineEnvironment, environmentReader, type Environment } from '../../shared/foundation/index.js';
import { siblingModule } from '../../shared/processes/index.js';
import { storeSettings, type StoreSettings } from '../../shared/store/index.js';
import type { EngineSettings } from './prediction-engine.js';

export interface SamplerServiceSettings {
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly reflection: boolean;
  /** As pino names them. */
  readonly logLevel: string;
  readonly store: StoreSettings;
  readonly engine: EngineSettings;
  /** Images of one call, at most. */
  readonly maxImages: number;
  /** Network evaluations (count times steps) under way at once, over all calls. */
  readonly maxEvaluations: number;
  /** Models that stay loaded; one more engine runs while a model is being replaced. */
  readonly maxLoadedModels: number;
  /** Images of one call in work or unread at once. */
  readonly window: number;
  /** The call of a reader that takes nothing for this long is ended. */
  readonly stallTimeoutMs: number;
  /** How long a service that stops waits for connections to close. */
  readonly graceMs: number;
}

const DEFAULT_ADDRESS = '127.0.0.1:50062';
const DEFAULT_STORE_FOLDER = 'ip-diffusion-store';
const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
// Two passes take turns: what one leaves the engine waiting for, solvers and messages, is done while the other runs. Passes of
// 32 were 8 % slower in all.
const MAX_ROWS = 16;
const BATCH_SIZES = [1, 2, 4, 8, MAX_ROWS];

/** @throws DiffusionError INVALID_ARGUMENT naming each variable that is wrong. */
export function readSettings(env: Environment = process.env): SamplerServiceSettings {
  const { text, integer, oneOf, check } = environmentReader(env);
  const settings = {
    address: text('IP_DIFFUSION_SAMPLER_ADDRESS', DEFAULT_ADDRESS),
    reflection: oneOf(['on', 'off'], 'IP_DIFFUSION_REFLECTION', 'on') === 'on',
    logLevel: oneOf(LOG_LEVELS, 'IP_DIFFUSION_LOG_LEVEL', 'info'),
    store: storeSettings(env, DEFAULT_STORE_FOLDER),
    engine: {
      module: siblingModule(import.meta.url, './engine-process/main'),
      environment: engineEnvironment(env),
      batchSizes: BATCH_SIZES,
      // An engine sends no heartbeat while it traces, and tracing a step of a large network takes long.
      heartbeatTimeoutMs: integer('IP_DIFFUSION_ENGINE_HEARTBEAT_TIMEOUT_MS', 300_000, 2000),
    },
    maxImages: integer('IP_DIFFUSION_SAMPLER_MAX_IMAGES', 4096),
    maxEvaluations: integer('IP_DIFFUSION_SAMPLER_MAX_EVALUATIONS', 4096 * 1000),
    maxLoadedModels: integer('IP_DIFFUSION_SAMPLER_MAX_MODELS', 2),
    // Two passes' worth: while one half is in the engine, the other half's solvers compute.
    window: 2 * MAX_ROWS,
    stallTimeoutMs: 60_000,
    graceMs: 10_000,
  };
  check();
  return settings;
}
