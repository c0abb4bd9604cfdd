/** What a service's process does around its server: a log, signals, and one clear line where it can't start. */

import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import pino from 'pino';

import { DiffusionError } from '../foundation/index.js';
import {
  helpSection,
  readSources,
  serviceFlagRows,
  settingRows,
  settingSources,
  type ServiceSettings,
} from '../settings/index.js';
import { checkConfig } from './check-config.js';
import { logOutput } from './log-output.js';
import type { ServerSettings } from './server-settings.js';
import type { RunningService, ServiceLog, ServiceProgram } from './service-program.js';

/** A log of JSON lines on standard error. @param level As pino names them; "silent" for none. */
export function serviceLog(service: string, level = 'info'): ServiceLog {
  return pino({ name: service, level }, logOutput(service));
}

/**
 * Runs a service until SIGTERM or SIGINT, then stops it and exits with 0; a second signal exits at once.
 * A service that can't start exits with 1 and says why in one line, without a stack. With `--help` or `--check-config` it
 * does that and exits.
 */
export async function runService<S extends ServerSettings>(program: ServiceProgram<S>): Promise<void> {
  const { table } = program;
  const name = table.service;
  const sources = settingSources(process.argv.slice(2), program.environment, table);
  if (sources.given.help) {
    process.stdout.write(`${helpOf(table)}\n`);
    return;
  }
  if (sources.given.checkConfig) {
    process.exitCode = await checkConfig(program, sources, process.stdout);
    return;
  }
  // What grpc-js writes by itself comes as errors to the log, too.
  setLogVerbosity(logVerbosity.NONE);
  const log = serviceLog(name);
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught error');
    process.exit(1);
  });
  const service = await started(log, async () => {
    const settings = readSources(sources, (environment) => program.read(environment));
    log.level = settings.logLevel;
    return program.start(settings, log);
  });
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
    service.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'could not stop cleanly');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  const { port, metricsPort } = service;
  log.info({ port, metricsPort }, 'listening');
  service.failure?.catch((error: unknown) => {
    if (!stopping) exitWith(log, error);
  });
}

async function started(log: ServiceLog, start: () => Promise<RunningService>): Promise<RunningService> {
  try {
    return await start();
  } catch (error) {
    return exitWith(log, error);
  }
}

function exitWith(log: ServiceLog, error: unknown): never {
  if (error instanceof DiffusionError) log.fatal({ reason: error.reason }, error.message);
  else log.fatal({ err: error }, 'the service could not start');
  return process.exit(1);
}

function helpOf({ service, shared, own }: ServiceSettings): string {
  return [
    `The ${service} service. A flag counts before a variable, a variable before a file, and a file before the default.`,
    helpSection('Options', [...settingRows(own), ...settingRows(shared), ...serviceFlagRows()]),
  ].join('\n\n');
}
