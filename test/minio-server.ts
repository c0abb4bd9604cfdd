/** A real S3 server for the tests, on a free port, with one empty bucket: MinIO, or the one that `IP_DIFFUSION_TEST_S3` names. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GO_MISSING, testTool, type TestTool } from '../deploy/setup/test-tools.js';
import { pause } from '../shared/foundation/index.js';

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

const SERVER_VARIABLE = 'IP_DIFFUSION_TEST_S3';
const KEYS = { accessKey: 'test-access', secretKey: 'test-secret-key' };

interface Server {
  /** @param data A folder in it is a bucket. @param spare An empty folder. */
  arguments(data: string, spare: string, address: string): string[];
  readonly environment: Readonly<Record<string, string>>;
}

const SERVERS = {
  minio: {
    arguments: (data, _spare, address) => ['server', data, '--address', address],
    environment: {
      MINIO_ROOT_USER: KEYS.accessKey,
      MINIO_ROOT_PASSWORD: KEYS.secretKey,
      MINIO_BROWSER: 'off',
    },
  },
  // The sidecar holds what it would else write to extended attributes, which not every file system has.
  versitygw: {
    arguments: (data, spare, address) => ['--port', address, '--quiet', 'posix', '--sidecar', spare, data],
    environment: { ROOT_ACCESS_KEY: KEYS.accessKey, ROOT_SECRET_KEY: KEYS.secretKey },
  },
} satisfies Readonly<Partial<Record<TestTool, Server>>>;

/** The server that the tests run over. */
export const SERVER_NAME = nameOfServer(process.env[SERVER_VARIABLE] ?? 'minio');

function nameOfServer(name: string): keyof typeof SERVERS {
  if (name === 'minio' || name === 'versitygw') return name;
  throw new Error(`${SERVER_VARIABLE}: wanted ${Object.keys(SERVERS).join(' or ')}; got ${name}`);
}

/**
 * Starts a server; undefined where the tool can't be built because Go is missing.
 *
 * @param parent The folder in which it makes one for its data.
 */
export async function startMinio(parent = tmpdir()): Promise<MinioServer | undefined> {
  const program = await testTool(SERVER_NAME);
  if (program === undefined) return undefined;
  const folder = await mkdtemp(join(parent, `${SERVER_NAME}-`));
  const [data, spare] = [join(folder, 'data'), join(folder, 'spare')];
  const bucket = 'checkpoints';
  // No client is needed to make one.
  for (const made of [join(data, bucket), spare]) await mkdir(made, { recursive: true });
  const port = await freePort();
  const { arguments: argumentsOf, environment } = SERVERS[SERVER_NAME];
  const server = spawn(program, argumentsOf(data, spare, `127.0.0.1:${port}`), {
    env: { PATH: process.env['PATH'], HOME: folder, ...environment },
    stdio: 'ignore',
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
  while (!(await isReady(port))) {
    if (server.exitCode !== null) throw new Error(`the server ${SERVER_NAME} ended before it was ready`);
    await pause(20);
  }
  return { endpoint: '127.0.0.1', port, bucket, ...KEYS, stop };
}

/** Whether it answers a request at all; one without a signature is refused. */
async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/`)).status < 500;
  } catch {
    return false;
  }
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
