/**
 * Runs where a pack was taken to (`pack.ts`): checks the engine on the card, then times it beside PyTorch and JAX in turns, and
 * leaves a table and `result.json`. It ends within its minutes: what isn't ready by then is left out, and said.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { clientOptions } from '../../shared/engine/device.js';
import { createPjrtEngine } from '../../shared/engine/pjrt/pjrt-engine.js';
import type { PjrtEngine } from '../../shared/engine/pjrt/pjrt-engine.js';
import { checkWays } from './checks.js';
import { engineWays } from './engine-ways.js';
import type { EngineWay } from './engine-ways.js';
import { readPacked } from './packed.js';
import { checkPeers, findPeers } from './peers.js';
import { jobOf, timings, worksOf } from './timings.js';
import type { Setting } from './timings.js';

const HELP = `bash run.sh [--device cuda|cpu-pjrt] [--plugin FILE] [--python PROGRAM] [--jax-python PROGRAM]
                   [--minutes 8] [--out FILE] [--no-peers]

  --device      what the plugin is for; default: cuda
  --plugin      the PJRT plugin; default: that of jax-cuda13-pjrt in the Python environment
  --python      the Python that has PyTorch; default: python3
  --jax-python  the Python that has JAX; default: that of --python
  --minutes     when it ends; default: 8
  --out         where the results go as JSON; default: result.json in this folder
  --no-peers    time the engine alone
`;

const MINUTE_MS = 60_000;
const FIND_PLUGIN = `
import importlib.util, os
spec = importlib.util.find_spec('jax_plugins.xla_cuda13')
print(os.path.join(list(spec.submodule_search_locations)[0], 'xla_cuda_plugin.so'))
`;

const folder = import.meta.dirname;
const { values: given } = parseArgs({
  options: {
    device: { type: 'string', default: 'cuda' },
    plugin: { type: 'string' },
    python: { type: 'string', default: 'python3' },
    'jax-python': { type: 'string' },
    minutes: { type: 'string', default: '8' },
    out: { type: 'string', default: join(folder, 'result.json') },
    'no-peers': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<number> {
  const minutes = Number(given.minutes);
  if (!(minutes > 0)) throw new Error(`--minutes: wanted a number above 0; got ${given.minutes}`);
  const endsAt = performance.now() + minutes * MINUTE_MS;
  const { device, python } = given;
  const { commit, networks, expected } = readPacked(folder);
  const plugin = given.plugin ?? execFileSync(python, ['-c', FIND_PLUGIN], { encoding: 'utf8' }).trim();
  if (!existsSync(plugin)) throw new Error(`the plugin ${plugin} is absent; give its path by --plugin`);
  const cacheFolder = join(tmpdir(), 'programs');
  const client = clientOptions({ device, devices: 1, memoryPercent: undefined });
  const start = ({ settings }: EngineWay): Promise<PjrtEngine> =>
    createPjrtEngine({ plugin, cacheFolder, client, ...settings });
  const peerDevice = device === 'cuda' ? 'cuda' : 'cpu';
  const ways = engineWays(peerDevice);
  const engine = await start(ways[0]);
  const peers = given['no-peers'] ? [] : findPeers({ torch: python, jax: given['jax-python'] ?? python });
  const about = {
    ...{ commit, device: engine.build.platform, library: engine.build.library },
    ...{ processor: cpus()[0]?.model.trim() ?? '', cores: availableParallelism() },
    peers: peers.map(({ name, version, absent }) => `${name}: ${absent ?? version}`),
  };
  console.log(about);
  engine.close();
  const signal = AbortSignal.timeout(Math.ceil((endsAt - performance.now()) / 2));
  const [own, others] = await Promise.all([
    checkWays(ways, start, expected),
    checkPeers(peers, { device: peerDevice, folder, signal }),
  ]);
  const done = [...own.checks, ...others.checks];
  const { left } = own;
  console.table(done);
  // Before the timings, so that what is known is kept whatever they do.
  write({ about, checks: done, left });
  const setting: Setting = {
    ...{ folder, plugin, device, cacheFolder, peerDevice },
    ...{ ways: own.ways, peers: others.peers },
  };
  const jobs = worksOf(networks).map((work) => [jobOf(work, setting)]);
  const timed = await timings(jobs, folder, endsAt, (line) => {
    console.log(line);
  });
  console.table(timed);
  write({ about, checks: done, left, rows: timed });
  console.log(`the results are in ${given.out}`);
  return done.every(({ holds }) => holds) && left === 0 ? 0 : 1;
}

function write(result: object): void {
  writeFileSync(given.out, `${JSON.stringify(result, undefined, 2)}\n`);
}

if (given.help) process.stdout.write(HELP);
else process.exit(await main());
