/** `--check-config`: whether a service could serve with its settings, without serving. */

import { authentication } from '../access/index.js';
import { DiffusionError, type FieldViolation } from '../foundation/index.js';
import { readSources, type Sources } from '../settings/index.js';
import { STORE_VARIABLE, tryStore, type StoreSettings } from '../store/index.js';
import type { ConfigCheck, ServiceProgram } from './service-program.js';
import { watchToken } from './metrics-endpoint.js';
import { METRICS_SETTINGS } from './metrics-settings.js';
import { SECURITY_SETTINGS } from './security-settings.js';
import type { ServerSettings } from './server-settings.js';
import { tlsCredentials } from './tls.js';

/** Whether the store answers within 10 s and can be used. */
export function storeCheck(store: StoreSettings, access: 'read' | 'write'): ConfigCheck {
  return {
    setting: { variable: STORE_VARIABLE },
    run: async () => {
      await tryStore(store, access);
    },
  };
}

interface Output {
  write(text: string): unknown;
}

/**
 * Reads certificates, keys and identities, runs the service's own checks, and prints every problem at once. What doesn't
 * depend on a wrong setting is checked all the same.
 *
 * @returns The exit code.
 */
export async function checkConfig<S extends ServerSettings>(
  program: ServiceProgram<S>,
  sources: Sources,
  output: Output,
): Promise<0 | 1> {
  const { problems, settings } = readAsFarAsPossible(program, sources);
  if (settings !== undefined) {
    const refused = new Set(problems.map(({ field }) => field));
    for (const { setting, run } of [...securityChecks(settings), ...program.checks(settings)]) {
      const field = sources.originOf(setting.variable);
      if (!refused.has(field)) problems.push(...(await problemsOf(field, run)));
    }
  }
  const { service } = program.table;
  if (sources.given.json) {
    const shown = problems.map(({ field, description }) => ({ setting: field, problem: description }));
    output.write(`${JSON.stringify({ service, ok: problems.length === 0, problems: shown })}\n`);
  } else if (problems.length === 0) output.write(`the ${service} can serve with these settings\n`);
  else for (const { field, description } of problems) output.write(`${service}: ${field}: ${description}\n`);
  return problems.length === 0 ? 0 : 1;
}

function readAsFarAsPossible<S extends ServerSettings>(
  { read }: ServiceProgram<S>,
  sources: Sources,
): { readonly problems: FieldViolation[]; readonly settings: S | undefined } {
  const problems: FieldViolation[] = [];
  try {
    return { problems, settings: readSources(sources, read) };
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    problems.push(...error.violations);
  }
  const refused = new Set(problems.map(({ field }) => field));
  const left = Object.entries(sources.environment).filter(([name]) => !refused.has(sources.originOf(name)));
  try {
    return { problems, settings: read(Object.fromEntries(left)) };
  } catch {
    return { problems, settings: undefined };
  }
}

function securityChecks({ security: { tls, access }, metrics }: ServerSettings): ConfigCheck[] {
  const ignore = (): void => undefined;
  return [
    {
      setting: SECURITY_SETTINGS.tlsCert,
      run: async () => {
        if (tls !== undefined) (await tlsCredentials(tls, access.reloadMs, ignore)).close();
      },
    },
    {
      setting: SECURITY_SETTINGS.identities,
      run: async () => {
        (await authentication(access, ignore)).close();
      },
    },
    {
      setting: METRICS_SETTINGS.metricsTokenFile,
      run: async () => {
        if (metrics?.tokenFile !== undefined)
          (await watchToken(metrics.tokenFile, metrics.reloadMs, ignore)).close();
      },
    },
  ];
}

async function problemsOf(field: string, run: () => Promise<void>): Promise<FieldViolation[]> {
  try {
    await run();
    return [];
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    return [{ field, description: error.message }];
  }
}
