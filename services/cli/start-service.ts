/** Starts the services as child processes. */

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { deferred } from '../../shared/foundation/index.js';
import { siblingModule } from '../../shared/processes/index.js';
import type { ServiceName } from '../../shared/rpc/index.js';
import type { Environment } from './config.js';

export interface ServiceProcess {
  readonly name: ServiceName;
  /** Resolves when it has ended. Never rejects. */
  readonly exited: Promise<ServiceExit>;
  /** Asks it to end (SIGTERM). */
  stop(): void;
  /** Ends it at once (SIGKILL). */
  kill(): void;
}

export interface ServiceExit {
  readonly code: number | null;
  /** Such as `exit code 1`. */
  readonly description: string;
}

/**
 * Starts a service. Ctrl-C doesn't reach it, so the caller decides when it ends; it is killed when this process
 * exits. @param onLog Takes the lines of its log; without it they go to this process's standard error. @param argv Its flags.
 */
export function startService(
  name: ServiceName,
  environment: Environment,
  onLog?: (line: string) => void,
  argv: readonly string[] = [],
): ServiceProcess {
  const preload = ['--import', siblingModule(import.meta.url, './service-process').href];
  const main = fileURLToPath(siblingModule(import.meta.url, `../${name}/main`));
  const child = spawn(process.execPath, [...process.execArgv, ...preload, main, ...argv], {
    // In its own process group: a terminal sends Ctrl-C to the whole group of this one.
    detached: true,
    env: environment,
    stdio: ['ignore', 'inherit', onLog === undefined ? 'inherit' : 'pipe'],
  });
  if (child.stderr && onLog) createInterface({ input: child.stderr }).on('line', onLog);
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  const { promise: exited, resolve } = deferred<ServiceExit>();
  const onEnd = (code: number | null, description: string): void => {
    process.off('exit', kill);
    resolve({ code, description });
  };
  // 'close' comes after the last line of the log; a process that couldn't be started has only 'error'.
  child.once('close', (code, signal) => {
    onEnd(code, code === null ? String(signal) : `exit code ${code}`);
  });
  child.once('error', (error) => {
    onEnd(null, error.message);
  });
  return {
    name,
    exited,
    stop: () => {
      child.kill('SIGTERM');
    },
    kill,
  };
}
