/** A service as a child process, with its log. */

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { deferred } from '../../shared/foundation/index.js';
import { programArguments } from '../programs.js';

export interface ServiceProcess {
  readonly child: ChildProcess;
  /** `host:port`; empty where it ended instead of listening. */
  readonly address: string;
  /** Lines of its log so far. */
  readonly log: readonly string[];
  /** Its exit code, or the signal that ended it. */
  readonly exited: Promise<number | string>;
  isRunning(): boolean;
}

export interface SpawnOptions {
  readonly cwd?: string;
  /** A file descriptor that takes the log instead of this process, which then waits for nothing. */
  readonly stderr?: number;
  /** In a session of its own, which Linux schedules as a group of its own. */
  readonly hasOwnSession?: boolean;
  /** A module that runs before the service's own. */
  readonly preload?: URL;
  /** The folder of another build; this one where it is undefined. */
  readonly build?: string;
}

/** Starts a service and resolves when it listens or has ended. */
export async function spawnService(
  name: 'trainer' | 'sampler',
  environment: Readonly<Record<string, string>>,
  { cwd, stderr, hasOwnSession = false, preload, build }: SpawnOptions = {},
): Promise<ServiceProcess> {
  const program =
    build === undefined
      ? programArguments(import.meta.url, `../../services/${name}/main`)
      : [join(build, 'services', name, 'main.js')];
  const child = spawn(
    process.execPath,
    [...program.slice(0, -1), ...(preload ? ['--import', preload.href] : []), ...program.slice(-1)],
    {
      cwd,
      detached: hasOwnSession,
      env: {
        PATH: process.env['PATH'],
        HOME: process.env['HOME'],
        IP_DIFFUSION_ENGINE_CHECK: 'off',
        [`IP_DIFFUSION_${name.toUpperCase()}_ADDRESS`]: '127.0.0.1:0',
        ...environment,
      },
      stdio: ['ignore', 'ignore', stderr ?? 'pipe'],
    },
  );
  // A test that fails half-way must not leave it behind.
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);
  const log: string[] = [];
  const listening = deferred<number | undefined>();
  if (child.stderr === null) listening.resolve(undefined);
  else {
    createInterface(child.stderr).on('line', (line) => {
      log.push(line);
      const { msg, port } = parsed(line);
      if (msg === 'listening') listening.resolve(port);
    });
  }
  let ended = false;
  const exited = once(child, 'close').then(([code, signal]) => {
    ended = true;
    process.off('exit', kill);
    listening.resolve(undefined);
    return (code ?? signal) as number | string;
  });
  const port = await listening.promise;
  return {
    child,
    address: port === undefined ? '' : `127.0.0.1:${port}`,
    log,
    exited,
    isRunning: () => !ended,
  };
}

function parsed(line: string): { readonly msg?: string; readonly port?: number } {
  try {
    return JSON.parse(line) as { msg?: string; port?: number };
  } catch {
    return {};
  }
}
