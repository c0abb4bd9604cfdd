/** What the environment says about the security of services that are started from here. */

import { DiffusionError, environmentReader, violationsText } from '../../../shared/foundation/index.js';
import { serverSettings, type ServiceName } from '../../../shared/rpc/index.js';
import type { ServiceSettings } from '../../../shared/settings/index.js';
import { SAMPLER_SETTINGS } from '../../sampler/settings.js';
import { TRAINER_SETTINGS } from '../../trainer/settings.js';
import type { Environment } from '../config.js';
import type { Finding } from './finding.js';

export function checkSecurity(environment: Environment): Finding {
  const name = 'security';
  const reader = environmentReader(environment);
  const services = [TRAINER_SETTINGS, SAMPLER_SETTINGS].map((table: ServiceSettings<ServiceName>) =>
    serverSettings(table, reader),
  );
  try {
    reader.check();
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    return { name, state: 'wrong', text: violationsText(error.violations) };
  }
  const warnings = [
    ...new Set(services.flatMap(({ security, metrics }) => [security.warning, metrics?.warning])),
  ].filter((warning) => warning !== undefined);
  if (warnings.length > 0) return { name, state: 'warning', text: warnings.join('; ') };
  const addresses = services.map(({ address }) => address).join(' and ');
  const tls = services.some(({ security }) => security.tls !== undefined) ? ' with TLS' : '';
  return { name, state: 'ok', text: `services started from here listen on ${addresses}${tls}` };
}
