/** A proxy before the store that makes its connections bad on demand (github.com/Shopify/toxiproxy). */

import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { testTool } from '../../deploy/setup/test-tools.js';
import { pause } from '../../shared/foundation/index.js';
import { freePort } from '../minio-server.js';

export interface Toxiproxy {
  /** Where clients connect. */
  readonly port: number;
  /** Makes connections bad until what it returns is called. */
  poison(toxic: Toxic): Promise<() => Promise<void>>;
  /** Refuses connections, and ends those that are open, until what it returns is called. */
  cut(): Promise<() => Promise<void>>;
  stop(): Promise<void>;
}

/** As its HTTP API has it. */
export interface Toxic {
  readonly type: string;
  readonly stream: 'upstream' | 'downstream';
  readonly attributes: Readonly<Record<string, number>>;
}

const NAME = 'store';

/** Before `127.0.0.1:target`. @returns undefined where it can't be built because Go is missing. */
export async function startToxiproxy(target: number): Promise<Toxiproxy | undefined> {
  const program = await testTool('toxiproxy');
  if (program === undefined) return undefined;
  const [api, port] = [await freePort(), await freePort()];
  const child = spawn(program, ['-host', '127.0.0.1', '-port', String(api)], { stdio: 'ignore' });
  const exited = once(child, 'exit');
  const kill = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', kill);

  async function ask(method: string, path: string, body?: object): Promise<void> {
    const answer = await fetch(`http://127.0.0.1:${api}${path}`, {
      method,
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw new Error(`toxiproxy: ${method} ${path}: ${answer.status} ${await answer.text()}`);
  }

  while (!(await answers(api))) {
    if (child.exitCode !== null) throw new Error('toxiproxy ended before it was ready');
    await pause(50);
  }
  const addresses = { listen: `127.0.0.1:${port}`, upstream: `127.0.0.1:${target}` };
  await ask('POST', '/proxies', { name: NAME, ...addresses, enabled: true });
  let toxics = 0;
  return {
    port,
    poison: async (toxic) => {
      const name = `toxic-${toxics++}`;
      await ask('POST', `/proxies/${NAME}/toxics`, { ...toxic, name, toxicity: 1 });
      return () => ask('DELETE', `/proxies/${NAME}/toxics/${name}`);
    },
    cut: async () => {
      await ask('POST', `/proxies/${NAME}`, { enabled: false });
      return () => ask('POST', `/proxies/${NAME}`, { enabled: true });
    },
    stop: async () => {
      kill();
      process.off('exit', kill);
      await exited;
    },
  };
}

async function answers(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/version`)).ok;
  } catch {
    return false;
  }
}
