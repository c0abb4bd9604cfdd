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

/** What clients show and want to see. */
export const CLIENT_VARIABLES = {
  ca: 'IP_DIFFUSION_CA_FILE',
  cert: 'IP_DIFFUSION_CERT_FILE',
  key: 'IP_DIFFUSION_KEY_FILE',
  tokenFile: 'IP_DIFFUSION_TOKEN_FILE',
} as const;
