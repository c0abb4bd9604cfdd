/** A real MinIO server for the tests, on a free port, with one empty bucket. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { GO_MISSING, testTool } from '../deploy/setup/test-tools.js';

export { GO_MISSING };

export interface MinioServer {
  readonly endpoint: string;
  readonly port: number;
  readonly bucket: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** Kills the server and removes its data. */
  stop(): Promise<void>;
}

/** Starts a server; undefined where the tool can't be built because Go is missing. */
export async function startMinio(): Promise<MinioServer | undefined> {
  const program = await testTool('minio');
  if (program === undefined) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'minio-'));
  const bucket = 'checkpoints';
  // A folder of the drive is a bucket: no client is needed to make one.
  await mkdir(join(folder, bucket));
  const port = await freePort();
  const accessKey = 'test-access';
  const secretKey = 'test-secret-key';
  const server = spawn(program, ['server', folder, '--address', `127.0.0.1:${port}`], {
    env: {
      PATH: process.env['PATH'],
      HOME: folder,
      MINIO_ROOT_USER: accessKey,
      MINIO_ROOT_PASSWORD: secretKey,
      MINIO_BROWSER: 'off',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const exit = once(server, 'exit');
  const kill = (): void => {
    server.kill('SIGKILL');
  };
  // A test process that ends before its hooks ran must not leave the server behind.
  process.once('exit', kill);
  const stop = async (): Promise<void> => {
    kill();
    process.off('exit', kill);
    await exit;
    await rm(folder, { recursive: true, force: true });
  };
  for await (const line of createInterface(server.stderr)) {
    if (!line.includes('API:')) continue;
    server.stderr.resume();
    return { endpoint: '127.0.0.1', port, bucket, accessKey, secretKey, stop };
  }
  await stop();
  throw new Error('the MinIO server ended before it was ready');
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
