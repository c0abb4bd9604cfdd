/** The settings of the command line; the only place of this service that reads the environment. */

import type { Environment } from '../../shared/foundation/index.js';

export type { Environment };

export interface CliSettings {
  /** All variables: an option may name one, and processes that are started inherit them. */
  readonly environment: Environment;
  /** Whether a terminal gets colours (https://no-color.org). */
  readonly colours: boolean;
}

export function readSettings(): CliSettings {
  const environment = process.env;
  return { environment, colours: !environment['NO_COLOR'] && environment['TERM'] !== 'dumb' };
}

/** Where clients find the services. */
export const TRAINER_VARIABLE = 'IP_DIFFUSION_TRAINER';
export const SAMPLER_VARIABLE = 'IP_DIFFUSION_SAMPLER';
export const DEFAULT_TRAINER = '127.0.0.1:50061';
export const DEFAULT_SAMPLER = '127.0.0.1:50062';

/** Variables that the services read. */
export const SERVICE_VARIABLES = {
  store: 'IP_DIFFUSION_STORE',
  trainerAddress: 'IP_DIFFUSION_TRAINER_ADDRESS',
  samplerAddress: 'IP_DIFFUSION_SAMPLER_ADDRESS',
  datasetCache: 'IP_DIFFUSION_DATASET_CACHE',
} as const;

/** The default folder of the checkpoints. */
export const DEFAULT_STORE_FOLDER = 'ip-diffusion-store';
