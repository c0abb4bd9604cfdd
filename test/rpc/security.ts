/** Settings of security, for servers in tests. */

import { TRAINER_SETTINGS } from '../../services/trainer/settings.js';
import { environmentReader, type Environment } from '../../shared/foundation/index.js';
import {
  serverSettings,
  serviceLog,
  type ServerSecurity,
  type ServerSettings,
} from '../../shared/rpc/index.js';

/** A log that nobody reads. */
export const SILENT = serviceLog('test', 'silent');

/** As a service on loopback has them with these variables. Files are read again after a few milliseconds. */
export function securityOf(env: Environment = {}): ServerSecurity {
  const reader = environmentReader(env);
  const { security } = serverSettings(TRAINER_SETTINGS, reader);
  reader.check();
  return { ...security, access: { ...security.access, reloadMs: 20 } };
}

/** Metrics as a service on loopback serves them. */
export function metricsAt(address: string): NonNullable<ServerSettings['metrics']> {
  const { metrics } = serverSettings(
    TRAINER_SETTINGS,
    environmentReader({ IP_DIFFUSION_METRICS_ADDRESS: address }),
  );
  if (metrics === undefined) throw new Error('no metrics are served');
  return metrics;
}
