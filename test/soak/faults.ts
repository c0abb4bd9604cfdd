/** The faults of a soak run: a row each. Which comes when, and for how long, is drawn from the run's seed. */

import { connect } from 'node:tls';
import { once } from 'node:events';

import { pause } from '../../shared/foundation/index.js';
import type { RandomStream } from '../../shared/random/index.js';
import type { KeptService } from './kept-service.js';
import { enginesOf } from '../proc.js';
import type { Recorder } from './recorder.js';
import type { Toxic } from './toxiproxy.js';
import type { World } from './world.js';

export interface Scene {
  readonly world: World;
  readonly recorder: Recorder;
  readonly draw: RandomStream;
}

export interface Fault {
  readonly name: string;
  /** Processes and the store have faults at the same time, but each only one. */
  readonly of: 'processes' | 'store';
  /** How often it is drawn, beside the others. */
  readonly weight: number;
  /** Whether a process is killed without warning. */
  readonly kills?: true;
  /** Does it, waits, and undoes it. @returns what was done, or undefined where there was nothing to do it to. */
  run(scene: Scene): Promise<string | undefined>;
}

export const FAULTS: readonly Fault[] = [
  killEngine('trainer', 12),
  killEngine('sampler', 9),
  killService('trainer', 1),
  killService('sampler', 1),
  stopService('trainer', 1),
  stopService('sampler', 1),
  pauseProcess('trainer', 3, ({ world }) => Promise.resolve(world.trainer.pid())),
  pauseProcess('sampler', 3, ({ world }) => Promise.resolve(world.sampler.pid())),
  pauseProcess("trainer's engine", 3, (scene) => engineOf(scene, 'trainer')),
  pauseProcess("sampler's engine", 2, (scene) => engineOf(scene, 'sampler')),
  {
    name: 'certificates exchanged',
    of: 'processes',
    weight: 2,
    async run({ world, recorder }) {
      const services = [world.trainer, world.sampler];
      const before = services.map((service) => service.pid());
      const name = await world.certificates.rotate();
      for (const [i, service] of services.entries()) {
        const isShown = await shows(service, name, world.certificates.authority.cert);
        // One that was started in between has read it at its start, or has not begun to listen.
        if (service.pid() === before[i])
          recorder.add({ kind: 'rotation', service: service.name, seen: isShown });
      }
      return name;
    },
  },
  toxic('slow answers', 4, ({ integer }) => ({
    ...{ type: 'latency', stream: 'downstream' },
    attributes: { latency: 200 + integer(1300), jitter: 100 },
  })),
  toxic('little bandwidth', 3, ({ integer }) => ({
    ...{ type: 'bandwidth', stream: 'upstream' },
    attributes: { rate: 20 + integer(100) },
  })),
  toxic('no data, then the connection ends', 3, ({ integer }) => ({
    ...{ type: 'timeout', stream: 'downstream' },
    attributes: { timeout: 500 + integer(4000) },
  })),
  toxic('connections reset', 3, ({ integer }) => ({
    ...{ type: 'reset_peer', stream: 'downstream' },
    attributes: { timeout: integer(500) },
  })),
  toxic('answers cut off', 2, ({ integer }) => ({
    ...{ type: 'limit_data', stream: 'downstream' },
    attributes: { bytes: 100 + integer(4000) },
  })),
  toxic('requests in small pieces', 1, () => ({
    ...{ type: 'slicer', stream: 'upstream' },
    attributes: { average_size: 200, size_variation: 100, delay: 200 },
  })),
  {
    name: 'no connection',
    of: 'store',
    weight: 4,
    async run({ world, draw }) {
      return lasting(draw, await world.proxy.cut());
    },
  },
  fullDisk('store', 2),
  fullDisk('local', 2),
];

function killService(name: 'trainer' | 'sampler', weight: number): Fault {
  return {
    ...{ name: `${name} killed`, of: 'processes', weight, kills: true },
    run: async ({ world }) => ((await world[name].end('SIGKILL', 'SIGKILL')) ? '' : undefined),
  };
}

function stopService(name: 'trainer' | 'sampler', weight: number): Fault {
  return {
    ...{ name: `${name} stopped with SIGTERM`, of: 'processes', weight },
    run: async ({ world }) => ((await world[name].end('SIGTERM', 0)) ? '' : undefined),
  };
}

function killEngine(name: 'trainer' | 'sampler', weight: number): Fault {
  return {
    ...{ name: `${name}'s engine killed`, of: 'processes', weight, kills: true },
    async run(scene) {
      const pid = await engineOf(scene, name);
      return pid !== undefined && signalled(pid, 'SIGKILL') ? `process ${pid}` : undefined;
    },
  };
}

function pauseProcess(
  what: string,
  weight: number,
  find: (scene: Scene) => Promise<number | undefined>,
): Fault {
  return {
    ...{ name: `${what} paused`, of: 'processes', weight },
    async run(scene) {
      const pid = await find(scene);
      if (pid === undefined || !signalled(pid, 'SIGSTOP')) return undefined;
      return lasting(scene.draw, () => {
        signalled(pid, 'SIGCONT');
        return Promise.resolve();
      });
    },
  };
}

function toxic(name: string, weight: number, make: (draw: RandomStream) => Toxic): Fault {
  return {
    ...{ name, of: 'store', weight },
    async run({ world, draw }) {
      const made = make(draw);
      return `${JSON.stringify(made.attributes)} ${await lasting(draw, await world.proxy.poison(made))}`;
    },
  };
}

function fullDisk(which: 'store' | 'local', weight: number): Fault {
  return {
    ...{ name: `${which === 'store' ? "store's" : "trainer's"} disk full`, of: 'store', weight },
    async run({ world, draw }) {
      const disk = world.disks?.[which];
      if (disk === undefined) return undefined;
      // The trainer writes to its own disk only while the store is not there.
      const connect_ = which === 'local' ? await world.proxy.cut() : undefined;
      await disk.fill();
      return lasting(draw, async () => {
        await disk.empty();
        await connect_?.();
      });
    },
  };
}

const SHORTEST_MS = 1000;
const LONGEST_MS = 12_000;

/** Waits for a time that is drawn, and undoes a fault. @returns the time in words. */
async function lasting(draw: RandomStream, undo: () => Promise<void>): Promise<string> {
  const ms = SHORTEST_MS + draw.integer(LONGEST_MS - SHORTEST_MS);
  try {
    await pause(ms);
  } finally {
    await undo();
  }
  return `for ${(ms / 1000).toFixed(1)} s`;
}

async function engineOf({ world, draw }: Scene, name: 'trainer' | 'sampler'): Promise<number | undefined> {
  const pid = world[name].pid();
  const engines = pid === undefined ? [] : await enginesOf(pid);
  return engines.length === 0 ? undefined : engines[draw.integer(engines.length)]?.pid;
}

/** False where the process has ended. */
function signalled(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

const SHOWN_WITHIN_MS = 20_000;

/** Whether new connections are shown the certificate of a name, in time. */
async function shows({ address }: KeptService, name: string, ca: string): Promise<boolean> {
  const [host = '', port] = address.split(':');
  for (let waited = 0; waited < SHOWN_WITHIN_MS; waited += 500) {
    const socket = connect({ host, port: Number(port), ca, ALPNProtocols: ['h2'] });
    try {
      await once(socket, 'secureConnect');
      if (socket.getPeerCertificate().subject.CN === name) return true;
    } catch {
      // It is down for now.
    } finally {
      socket.destroy();
    }
    await pause(500);
  }
  return false;
}
