/** What a service's process does around its server: a log, signals, and one clear line where it can't start. */

import { logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import pino, { type Logger } from 'pino';

import { DiffusionError } from '../foundation/index.js';
import { logOutput } from './log-output.js';

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

/** A log of JSON lines on standard error. @param level As pino names them; "silent" for none. */
export function serviceLog(service: string, level = 'info'): ServiceLog {
  return pino({ name: service, level }, logOutput(service));
}

/**
 * Runs a service until SIGTERM or SIGINT, then stops it and exits with 0; a second signal exits at once.
 * A service that can't start exits with 1 and says why in one line, without a stack.
 */
export async function runService(
  name: string,
  start: (log: ServiceLog) => Promise<RunningService>,
): Promise<void> {
  // What grpc-js writes by itself comes as errors to the log, too.
  setLogVerbosity(logVerbosity.NONE);
  const log = serviceLog(name);
  process.on('uncaughtException', (error) => {
    log.fatal({ err: error }, 'uncaught error');
    process.exit(1);
  });
  const service = await started(log, start);
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

async function started(
  log: ServiceLog,
  start: (log: ServiceLog) => Promise<RunningService>,
): Promise<RunningService> {
  try {
    return await start(log);
  } catch (error) {
    return exitWith(log, error);
  }
}

function exitWith(log: ServiceLog, error: unknown): never {
  if (error instanceof DiffusionError) log.fatal({ reason: error.reason }, error.message);
  else log.fatal({ err: error }, 'the service could not start');
  return process.exit(1);
}
