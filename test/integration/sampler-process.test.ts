import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import test from 'ava';
import { programArguments } from '../programs.js';

const MAIN = programArguments(import.meta.url, '../../services/sampler/main');

async function startProcess(environment: Record<string, string>) {
  const folder = await mkdtemp(join(tmpdir(), 'sampler-process-'));
  const child = spawn(process.execPath, MAIN, {
    env: {
      ...process.env,
      IP_DIFFUSION_STORE: folder,
      IP_DIFFUSION_SAMPLER_ADDRESS: '127.0.0.1:0',
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines: string[] = [];
  const log = createInterface({ input: child.stderr });
  log.on('line', (line) => lines.push(line));
  const exited = once(child, 'close') as Promise<[code: number | null]>;
  return { child, lines, log, exited };
}

test('SIGTERM ends the service cleanly [fault 23]', async (t) => {
  const { child, lines, log, exited } = await startProcess({});
  await once(log, 'line');
  t.regex(lines[0] ?? '', /"port":\d+.*"msg":"listening"/);
  child.kill('SIGTERM');
  t.deepEqual((await exited)[0], 0);
});

test('a port in use gives one clear line and exit code 1 [fault 26]', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const { lines, exited } = await startProcess({ IP_DIFFUSION_SAMPLER_ADDRESS: `127.0.0.1:${port}` });
  t.is((await exited)[0], 1);
  taken.close();
  t.is(lines.length, 1);
  t.regex(lines[0] ?? '', /cannot listen on 127\.0\.0\.1/);
  t.notRegex(lines[0] ?? '', /stack/);
});

test('a bad setting gives one clear line and exit code 1 [fault 26]', async (t) => {
  const { lines, exited } = await startProcess({ IP_DIFFUSION_SAMPLER_MAX_IMAGES: 'many' });
  t.is((await exited)[0], 1);
  t.is(lines.length, 1);
  t.regex(lines[0] ?? '', /IP_DIFFUSION_SAMPLER_MAX_IMAGES: wanted an integer from 1 to 2147483647; got/);
});
