import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { openLocalStore } from '../../shared/store/index.js';
import { run } from '../cli/sinks.js';
import { spawnService } from '../faults/spawn-service.js';
import { commitTiny } from '../sampler-service/tiny-model.js';

test('a worker shares the shards of a batch between two samplers, whose bytes are those of one', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'two-samplers-'));
  const models = join(root, 'models');
  await mkdir(models);
  const store = await openLocalStore({ folder: models });
  await commitTiny(store, { step: 5 });
  await store.close();
  const services = await Promise.all(
    [0, 1].map(() => spawnService('sampler', { IP_DIFFUSION_STORE: models })),
  );
  t.teardown(async () => {
    for (const { child } of services) child.kill('SIGTERM');
    await Promise.all(services.map(({ exited }) => exited));
    await rm(root, { recursive: true, force: true });
  });
  const addresses = services.map(({ address }) => address);
  const make = async (out: string, servers: readonly string[]): Promise<void> => {
    const plan = ['tiny', '--count', '24', '--shard-size', '4', '--steps', '5', '--out', join(root, out)];
    const { exitCode, err } = await run(['batch', ...plan, ...servers.flatMap((at) => ['--server', at])]);
    t.is(exitCode, 0, err);
  };
  await make('two', addresses);
  const generated = services.map(({ log }) => log.filter((line) => line.includes('Generate')).length);
  // Six shards and the plan's call, four at once.
  t.true(
    generated.every((calls) => calls >= 2),
    generated.join(),
  );
  await make('one', addresses.slice(0, 1));
  for (let shard = 0; shard < 6; shard++) {
    const name = join('shards', `00000${shard}.tar`);
    t.deepEqual(await readFile(join(root, 'two', name)), await readFile(join(root, 'one', name)));
  }
});
