/** A service that is started again whenever it ends, at the same address. */

import { appendFile } from 'node:fs/promises';

import { pause } from '../../shared/foundation/index.js';
import { spawnService, type ServiceProcess } from '../faults/spawn-service.js';
import type { Recorder } from './recorder.js';

export type ServiceName = 'trainer' | 'sampler';

export interface KeptService {
  readonly name: ServiceName;
  readonly address: string;
  /** Undefined while none listens. */
  pid(): number | undefined;
  /**
   * Ends the process by a signal, and resolves when the next one listens; false where there was none to end.
   *
   * @param wanted How it should end: an exit code or the signal.
   */
  end(signal: 'SIGKILL' | 'SIGTERM', wanted: number | string): Promise<boolean>;
  /** Ends it for good, cleanly. */
  close(): Promise<void>;
}

export interface KeptServiceOptions {
  readonly port: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly recorder: Recorder;
}

const DELAY_MS = 100;

export async function keepService(
  name: ServiceName,
  { port, environment, logFile, recorder }: KeptServiceOptions,
): Promise<KeptService> {
  const address = `127.0.0.1:${port}`;
  let current: ServiceProcess | undefined;
  let wanted: number | string | undefined;
  let closing = false;

  async function start(): Promise<ServiceProcess> {
    const service = await spawnService(name, {
      ...environment,
      [`IP_DIFFUSION_${name.toUpperCase()}_ADDRESS`]: address,
    });
    if (service.isRunning()) current = service;
    // It was started while the run ended.
    if (closing) service.child.kill('SIGTERM');
    void service.exited.then(async (how) => {
      if (current === service) current = undefined;
      recorder.add({ kind: 'exit', service: name, how, wanted: closing ? 0 : wanted });
      wanted = undefined;
      await appendFile(logFile, service.log.map((line) => `${line}\n`).join(''));
    });
    return service;
  }

  async function run(): Promise<void> {
    while (!closing) {
      const { exited } = await start();
      await exited;
      await pause(DELAY_MS);
    }
  }

  const first = await start();
  if (!first.isRunning()) throw new Error(`the ${name} does not start`);
  const running = first.exited.then(run);
  return {
    name,
    address,
    pid: () => current?.child.pid,
    async end(signal, how) {
      const ending = current;
      if (ending === undefined || wanted !== undefined) return false;
      wanted = how;
      ending.child.kill(signal);
      await ending.exited;
      while (current === undefined || current === ending) await pause(DELAY_MS);
      return true;
    },
    async close() {
      closing = true;
      current?.child.kill('SIGTERM');
      await running;
    },
  };
}
