/** A Temporal server for tests, on a free port, with its state in memory. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';

import { testTool } from '../../deploy/setup/test-tools.js';
import { pause } from '../../shared/foundation/index.js';
import { freePort } from '../minio-server.js';

export interface TemporalServer {
  readonly address: string;
  stop(): Promise<void>;
}

/** Undefined where the server can't be built because Go is missing. */
export async function startTemporal(): Promise<TemporalServer | undefined> {
  const program = await testTool('temporal');
  if (program === undefined) return undefined;
  const port = await freePort();
  const words = ['server', 'start-dev', '--headless', '--port', String(port), '--log-level', 'error'];
  const server = spawn(program, [...words, '--http-port', String(await freePort())], { stdio: 'ignore' });
  const kill = (): void => {
    server.kill('SIGKILL');
  };
  process.once('exit', kill);
  while (!(await isListening(port))) {
    if (server.exitCode !== null) throw new Error("Temporal's server ended before it was ready");
    await pause(100);
  }
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => {
      const ended = once(server, 'exit');
      kill();
      process.off('exit', kill);
      await ended;
    },
  };
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
