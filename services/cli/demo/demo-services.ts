/** The demo's trainer and sampler: child processes on free ports, with one local store. */

import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';

import {
  deferred,
  DiffusionError,
  ENGINE_SETTINGS,
  unlessAborted,
} from '../../../shared/foundation/index.js';
import { ADDRESS_SETTINGS, SECURITY_SETTINGS, type ServiceName } from '../../../shared/rpc/index.js';
import { SERVICE_FLAGS } from '../../../shared/settings/index.js';
import { DATA_SETTINGS, STORE_VARIABLE } from '../../../shared/store/index.js';
import type { Environment } from '../config.js';
import { startService, type ServiceProcess } from '../start-service.js';

export interface DemoServices {
  readonly trainerAddress: string;
  readonly samplerAddress: string;
  /** Aborted where a service ends by itself, with the reason. */
  readonly serviceEnded: AbortSignal;
  /** Ends both; resolves when they have ended. */
  stop(): Promise<void>;
}

const FREE_PORT = '127.0.0.1:0';
/** A service that has not ended by then is killed. */
const STOP_WITHIN_MS = 30_000;

/**
 * Starts both services and waits until they listen. Their logs go to `<folder>/trainer.log` and `sampler.log`.
 * @throws DiffusionError UNAVAILABLE naming the log of a service that ended instead; the signal's reason.
 */
export async function startDemoServices(
  folder: string,
  environment: Environment,
  signal: AbortSignal,
): Promise<DemoServices> {
  mkdirSync(folder, { recursive: true });
  const variables = {
    ...environment,
    // The demo's services are for the demo alone, and reachable from this machine only.
    ...Object.fromEntries(
      Object.values({ ...SECURITY_SETTINGS, ...DATA_SETTINGS }).map(({ variable }) => [variable, '']),
    ),
    [SERVICE_FLAGS['--config'].variable]: '',
    [STORE_VARIABLE]: storeFolder(folder),
    [ENGINE_SETTINGS.datasetCache.variable]: cacheFolder(folder),
    [ADDRESS_SETTINGS.trainer.variable]: FREE_PORT,
    [ADDRESS_SETTINGS.sampler.variable]: FREE_PORT,
  };
  const serviceEnded = new AbortController();
  const names: readonly ServiceName[] = ['trainer', 'sampler'];
  const services = names.map((name) => startLogged(name, folder, variables));
  const stop = async (): Promise<void> => {
    await Promise.all(services.map(stopService));
  };
  for (const { failed } of services)
    failed.catch((error: unknown) => {
      serviceEnded.abort(error);
    });
  try {
    const ports = Promise.all(services.map(({ port, failed }) => Promise.race([port, failed])));
    const [trainerPort = 0, samplerPort = 0] = await unlessAborted(ports, signal);
    return {
      trainerAddress: `127.0.0.1:${trainerPort}`,
      samplerAddress: `127.0.0.1:${samplerPort}`,
      serviceEnded: serviceEnded.signal,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Where the demo's checkpoints are. */
export function storeFolder(folder: string): string {
  return join(folder, 'store');
}

/** Where its prepared images are. */
export function cacheFolder(folder: string): string {
  return join(folder, 'images');
}

interface LoggedService extends ServiceProcess {
  readonly port: Promise<number>;
  /** Rejects when the process ends. */
  readonly failed: Promise<never>;
}

function startLogged(name: ServiceName, folder: string, environment: Environment): LoggedService {
  const logPath = join(folder, `${name}.log`);
  const log = createWriteStream(logPath);
  const port = deferred<number>();
  let lastLine = '';
  const service = startService(name, environment, (line) => {
    log.write(`${line}\n`);
    const entry = parseEntry(line);
    if (entry.port !== undefined) port.resolve(entry.port);
    lastLine = entry.msg ?? line;
  });
  const failed = service.exited.then(async ({ description }): Promise<never> => {
    log.end();
    await finished(log);
    throw new DiffusionError('SERVICE_ENDED', `the ${name} ended (${description}): ${lastLine}`, {
      metadata: { remedy: `see its log: ${logPath}` },
    });
  });
  return { ...service, port: port.promise, failed };
}

/** A line of a service's log, as pino writes them. */
function parseEntry(line: string): { msg?: string; port?: number } {
  try {
    return JSON.parse(line) as { msg?: string; port?: number };
  } catch {
    return {};
  }
}

async function stopService(service: ServiceProcess): Promise<void> {
  service.stop();
  const timer = setTimeout(() => {
    service.kill();
  }, STOP_WITHIN_MS);
  await service.exited;
  clearTimeout(timer);
}
