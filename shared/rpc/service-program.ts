/** What the process of a service is made of. */

import type { Logger } from 'pino';

import type { Environment, Setting } from '../foundation/index.js';
import type { ServiceSettings } from '../settings/index.js';
import type { ServerSettings } from './server-settings.js';

export type ServiceLog = Logger;

export interface RunningService {
  /** The port that is listened on. */
  readonly port: number;
  /** That of the metrics; undefined where they are not served. */
  readonly metricsPort?: number | undefined;
  /** Rejects where the service finds out late that it can't go on. Never resolves. */
  readonly failure?: Promise<never>;
  /** Resolves when the last stream has ended and the last child is gone. */
  stop(): Promise<void>;
}

/** Something that settings name, and that may not be as it should be. */
export interface ConfigCheck {
  /** What a problem is reported of. */
  readonly setting: Pick<Setting<unknown>, 'variable'>;
  /** @throws DiffusionError saying what is wrong. */
  run(): Promise<void>;
}

/** What the process of a service runs. */
export interface ServiceProgram<S extends ServerSettings> {
  readonly table: ServiceSettings;
  readonly environment: Environment;
  /** @throws DiffusionError naming the variables of settings that are wrong. */
  read(environment: Environment): S;
  /** What `--check-config` tries beside certificates and identities. */
  checks(settings: S): readonly ConfigCheck[];
  start(settings: S, log: ServiceLog): Promise<RunningService>;
}
