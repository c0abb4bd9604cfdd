/** The commands of `batch` over a folder, with samplers that answer from a script. */

import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { openNpz, tarEntries } from '../../shared/dataset/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { openImageSet, type ImageBatch } from '../../shared/quality/index.js';
import { fileAccess, openFiles } from '../../shared/store/index.js';
import { fakeSampler, newImagesIn, type FakeSampler } from '../cli/fake-sampler.js';
import { run, type Ran } from '../cli/sinks.js';

const freshFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'batch-'));

const COUNT = ['--count', '23', '--shard-size', '5', '--steps', '7', '--seed', '3'];

interface Batch {
  readonly out: string;
  /** Makes the batch, or goes on with it. */
  make(...flags: string[]): Promise<Ran>;
}

async function batchOf(t: ExecutionContext, samplers: readonly FakeSampler[]): Promise<Batch> {
  const out = await freshFolder();
  t.teardown(() => rm(out, { recursive: true, force: true }));
  const servers = samplers.flatMap(({ address }) => ['--server', address]);
  return { out, make: (...flags) => run(['batch', 'tiny', ...COUNT, '--out', out, ...servers, ...flags]) };
}

/** Every file of an output with its hash, but for the store's own and claims. */
async function filesOf(out: string): Promise<Record<string, string>> {
  const names = await readdir(out, { recursive: true, withFileTypes: true });
  const files = names
    .filter((entry) => entry.isFile() && !entry.parentPath.includes('.store'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const hashed = files.map(async (path) => [
    path.slice(out.length + 1),
    createHash('sha256')
      .update(await readFile(path))
      .digest('hex'),
  ]);
  return Object.fromEntries(await Promise.all(hashed)) as Record<string, string>;
}

async function entriesOf(path: string): Promise<Map<string, Buffer>> {
  const found = new Map<string, Buffer>();
  async function* pieces(): AsyncGenerator<Uint8Array> {
    yield await readFile(path);
  }
  for await (const entry of tarEntries(path, pieces(), () => true))
    found.set(entry.path, Buffer.from(entry.bytes ?? []));
  return found;
}

test('a batch is a plan, and shards with their manifests; the same command makes nothing more', async (t) => {
  const sampler = await fakeSampler(t);
  const { out, make } = await batchOf(t, [sampler]);
  const { exitCode, err, out: text } = await make();
  t.is(err, '');
  t.is(exitCode, 0);
  t.regex(text, /^23 images of 8x8 in shards of 5 from tiny at step 5, EMA weights of rate 0.9999\n/);
  t.regex(text, /23 images in .*, 23 of them made now \(.* images\/s\)\n$/);
  const files = await filesOf(out);
  const stems = [0, 1, 2, 3, 4].map((shard) => `shards/00000${shard}`);
  t.deepEqual(Object.keys(files), ['plan.json', ...stems.flatMap((stem) => [`${stem}.json`, `${stem}.tar`])]);

  const manifest = JSON.parse(await readFile(join(out, 'shards/000004.json'), 'utf8')) as {
    images: { index: number; seed: string; sha256: string }[];
    objects: { key: string; sha256: string }[];
  };
  t.deepEqual(
    manifest.images.map(({ index, seed }) => [index, seed]),
    [
      [20, '3'],
      [21, '3'],
      [22, '3'],
    ],
  );
  t.is(manifest.objects[0]?.sha256, files['shards/000004.tar']);
  const entries = await entriesOf(join(out, 'shards/000004.tar'));
  t.is(entries.size, 6);
  const png = entries.get('0000000021.png') ?? Buffer.alloc(0);
  t.is(createHash('sha256').update(png).digest('hex'), manifest.images[1]?.sha256 ?? '');
  t.like(JSON.parse(String(entries.get('0000000021.json'))), {
    ...{ model: 'tiny', checkpoint: { step: 5 }, seed: '3', index: 21, settings: { steps: 7 } },
  });

  // The plan is asked for once more, and no shard.
  const before = sampler.requests.length;
  t.regex((await make()).out, /23 images in .*, 0 of them made now\n$/);
  t.is(sampler.requests.length, before + 1);
  t.deepEqual(await filesOf(out), files);
});

test('workers without a model go on with the plan that is there, and --shard parts it', async (t) => {
  const sampler = await fakeSampler(t);
  const { out, make } = await batchOf(t, [sampler]);
  t.is((await make('--shard', '1/3')).exitCode, 0);
  t.deepEqual(
    Object.keys(await filesOf(out)).filter((name) => name.endsWith('.tar')),
    [...['shards/000001.tar', 'shards/000004.tar']],
  );
  const status = await run(['batch', 'status', out]);
  t.regex(status.out, /\n8\/23 images \(34 %\), 2\/5 shards, 0 at work\n$/);
  t.is((await run(['batch', '--out', out, '--server', sampler.address])).exitCode, 0);
  t.like(JSON.parse((await run(['batch', 'status', out, '--json'])).out), {
    ...{ images: { total: 23, complete: 23 }, shards: { total: 5, complete: 5 } },
  });
  const whole = await batchOf(t, [sampler]);
  await whole.make('--workers', '1');
  t.deepEqual(await filesOf(out), await filesOf(whole.out));
});

test('another plan in the same output is refused with what differs, and what is there stays', async (t) => {
  const { out, make } = await batchOf(t, [await fakeSampler(t)]);
  await make();
  const files = await filesOf(out);
  const { exitCode, err } = await make('--steps', '8', '--seed', '4');
  t.is(exitCode, 1);
  t.regex(
    err,
    /another batch is in .*: settings.steps: the output has 7; asked for 8; seed: the output has "3"; asked for "4"/,
  );
  t.deepEqual(await filesOf(out), files);
});

test('arguments that would be ignored are refused', async (t) => {
  const { address } = await fakeSampler(t);
  const ask = async (...words: string[]): Promise<string> => {
    const { exitCode, err } = await run(['batch', ...words, '--server', address]);
    t.is(exitCode, 2);
    return err;
  };
  t.regex(await ask('tiny', '--count', '3'), /missing --out/);
  t.regex(await ask('tiny', '--out', 'x'), /missing --count/);
  t.regex(await ask('--out', 'x', '--steps', '3'), /--steps goes with MODEL/);
  t.regex(await ask('--out', 'x', '--shard', '3/3'), /--shard: wanted two integers I\/N/);
  const { exitCode, err } = await run(['batch', 'status', await freshFolder()]);
  t.is(exitCode, 1);
  t.regex(err, /holds no store/);
});

test('where a call breaks off, only what is missing is asked for again', async (t) => {
  let failures = 0;
  const breaking = await fakeSampler(t, {
    beforeImage: (index) => {
      if (index !== 7 || failures > 0) return;
      failures += 1;
      throw new DiffusionError('ENGINE_LOST', 'the engine was lost', { retryAfterMs: 1 });
    },
  });
  const { out, make } = await batchOf(t, [breaking]);
  const { exitCode, out: text } = await make('--workers', '1');
  t.is(exitCode, 0);
  t.regex(text, /the engine was lost; trying again in/);
  t.regex(text, /answers again/);
  // The images 9 and 8 had come.
  const asked = breaking.requests.map((request) => newImagesIn(request));
  t.true(asked.some(({ firstIndex, count }) => firstIndex === 5 && count === 3));
  const whole = await batchOf(t, [await fakeSampler(t)]);
  await whole.make();
  t.deepEqual(await filesOf(out), await filesOf(whole.out));
});

test('samplers share the calls; one that is busy or away is left alone while the others go on', async (t) => {
  const busy = await fakeSampler(t, {
    beforeImage: () => {
      throw new DiffusionError('BUSY', 'too many calls wait', { retryAfterMs: 60_000 });
    },
  });
  const good = await fakeSampler(t);
  const away = { ...good, address: '127.0.0.1:1' };
  const { out, make } = await batchOf(t, [busy, away, good]);
  t.is((await make()).exitCode, 0);
  t.regex((await run(['batch', 'verify', out])).out, /23\/23 images are whole/);
  // The plan, and at most one call before it said for how long it is busy.
  t.true(busy.requests.length <= 6);
});

test('an error that does not pass ends the batch', async (t) => {
  const { make } = await batchOf(t, [
    await fakeSampler(t, {
      beforeImage: () => {
        throw new DiffusionError('TOO_MANY_EVALUATIONS', 'wanted at most 40000 million evaluations');
      },
    }),
  ]);
  const { exitCode, err } = await make();
  t.is(exitCode, 1);
  t.regex(err, /wanted at most 40000 million evaluations/);
});

test('no sampler for too long is an error', async (t) => {
  const out = await freshFolder();
  const { exitCode, err } = await run([
    ...['batch', 'tiny', '--count', '3', '--out', out, '--server', '127.0.0.1:1', '--wait', '1'],
  ]);
  t.is(exitCode, 1);
  t.regex(err, /no sampler has answered for 1 s/);
});

test('a sampler with another checkpoint of the same name has no part in it', async (t) => {
  const other = await fakeSampler(t, { manifestSha256: 'b'.repeat(64) });
  const { out, make } = await batchOf(t, [await fakeSampler(t)]);
  await make('--shard', '0/5');
  const { exitCode, err } = await run(['batch', '--out', out, '--server', other.address]);
  t.is(exitCode, 1);
  t.regex(err, /has another checkpoint of tiny at step 5/);
});

test('verify finds what is damaged or missing; what it removes is made again, the same', async (t) => {
  const { out, make } = await batchOf(t, [await fakeSampler(t)]);
  await make();
  const files = await filesOf(out);
  const tar = join(out, 'shards/000002.tar');
  const bytes = await readFile(tar);
  bytes[600] = (bytes[600] ?? 0) ^ 1;
  await writeFile(tar, bytes);
  await rm(join(out, 'shards/000003.json'));
  const found = await run(['batch', 'verify', out]);
  t.is(found.exitCode, 1);
  t.regex(found.out, /shards\/000002.tar: wanted bytes with sha256/);
  t.regex(found.out, /13\/23 images are whole; 1 shards missing, 1 damaged/);
  t.regex(found.err, /hint: npx ip-diffusion batch verify .* --remove/);
  t.is((await run(['batch', 'verify', out, '--remove'])).exitCode, 1);
  await make();
  t.deepEqual(await filesOf(out), files);
  t.is((await run(['batch', 'verify', out])).exitCode, 0);
});

test('cancelling ends workers that run, and refuses new ones until it is undone', async (t) => {
  const { out, make } = await batchOf(t, [await fakeSampler(t, { hangs: true })]);
  const { address } = await fakeSampler(t);
  // The plan alone: its answer comes before the first image.
  const running = make();
  while (!(await readdir(out)).includes('plan.json')) await new Promise((resolve) => setImmediate(resolve));
  t.is((await run(['batch', 'cancel', out])).exitCode, 0);
  const ended = await running;
  t.is(ended.exitCode, 1);
  t.regex(ended.err, /the batch in .* is cancelled\nhint: to go on with it/);
  const again = ['batch', '--out', out, '--server', address];
  t.is((await run(again)).exitCode, 1);
  await run(['batch', 'cancel', out, '--undo']);
  t.is((await run(again)).exitCode, 0);
  t.deepEqual((await readdir(out)).sort(), ['.store', 'plan.json', 'shards']);
});

test('an interrupted worker gives its shards back', async (t) => {
  const { address } = await fakeSampler(t);
  const hanging = await fakeSampler(t, { hangs: true });
  const out = await freshFolder();
  const interrupt = new AbortController();
  const flags = [...COUNT, '--out', out, '--server', hanging.address, '--workers', '1'];
  const running = run(['batch', 'tiny', ...flags], { signal: interrupt.signal });
  // The plan's call, then the shard's.
  while (hanging.requests.length < 2) await new Promise((resolve) => setImmediate(resolve));
  interrupt.abort();
  const { exitCode, out: text } = await running;
  t.is(exitCode, 130);
  t.regex(text, /stopped; to go on: npx ip-diffusion batch --out /);
  t.deepEqual((await readdir(out)).sort(), ['.store', 'plan.json']);
  t.is((await run(['batch', '--out', out, '--server', address])).exitCode, 0);
});

test('classes go in turn over the images, into requests, shards and the packed file', async (t) => {
  const sampler = await fakeSampler(t);
  const { out, make } = await batchOf(t, [sampler]);
  t.is((await make('--classes', '4,2,9', '--first-index', '1')).exitCode, 0);
  const last = sampler.requests.map(newImagesIn).find(({ firstIndex }) => firstIndex === 21);
  t.deepEqual(last?.classes, [4, 2, 9]);
  t.is(String((await entriesOf(join(out, 'shards/000000.tar'))).get('0000000001.cls')), '2');
  const path = join(out, 'all.npz');
  t.is((await run(['batch', 'pack', out, '--output', path])).exitCode, 0);
  const files = await openFiles(path, fileAccess({}), { extension: '.npz' });
  const { files: found } = await files.list(() => true);
  const npz = await openNpz(files, found[0] ?? t.fail(), undefined);
  const labels = await npz.array('arr_1');
  t.deepEqual([labels.dtype, labels.shape], ['<i8', [23]]);
  const values = Buffer.from(await labels.reader.take(8 * 23));
  t.deepEqual(
    [0, 1, 2, 3].map((i) => Number(values.readBigInt64LE(8 * i))),
    [2, 9, 4, 2],
  );
  const { images } = await openImageSet(path);
  const batches: ImageBatch[] = [];
  for await (const batch of images?.batches(100) ?? []) batches.push(batch);
  t.deepEqual(batches[0]?.shape, { width: 8, height: 8, channels: 3 });
  // Each image has its index's colour.
  t.deepEqual(
    Array.from({ length: 23 }, (_, i) => batches[0]?.pixels[i * 192]),
    Array.from({ length: 23 }, (_, i) => i + 1),
  );
});

test('the folder format writes files that measure quality reads; an incomplete batch is not packed', async (t) => {
  const { out, make } = await batchOf(t, [await fakeSampler(t)]);
  await make('--format', 'folder', '--shard', '0/2');
  const refused = await run(['batch', 'pack', out, '--output', join(out, 'x.npz')]);
  t.is(refused.exitCode, 1);
  t.regex(refused.err, /wanted a complete batch in .*; 2 shards are missing/);
  await make('--format', 'folder');
  t.true(Object.keys(await filesOf(out)).includes('shards/000004/0000000022.png'));
  const set = await openImageSet(out);
  t.is(set.images?.count, 23);
  t.is((await run(['batch', 'verify', out])).exitCode, 0);
  await rm(join(out, 'shards/000001/0000000006.png'));
  t.regex((await run(['batch', 'verify', out])).out, /no such object/);
});

test('--json prints the plan, each shard and the end', async (t) => {
  const { make } = await batchOf(t, [await fakeSampler(t)]);
  const { out } = await make('--json', '--workers', '1');
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; images?: number });
  t.deepEqual(
    events.map(({ event }) => event),
    ['plan', ...Array<string>(5).fill('shard'), 'completed'],
  );
  t.is(events.at(-1)?.images, 23);
});
