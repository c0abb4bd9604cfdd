/** The measured values that docs/scaling.md starts from, measured again on this machine. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';

import { MEASURED } from '../../deploy/docs/scaling-model.js';
import { encodeImage, rasteriseSvgFiles } from '../../shared/images/index.js';
import { connectSampler } from '../../shared/rpc/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { spawnService } from '../faults/spawn-service.js';
import { scrape } from '../metrics/samples.js';
import { freePort } from '../minio-server.js';
import { ROOT } from '../programs.js';
import { commitTiny } from '../sampler-service/tiny-model.js';
import { SMALL_RECIPE, sampleSmall } from './small-sampler.js';
import { quantile, rounded, type Bench } from './table.js';

const [STEPS, ROUNDS, CALLS, EMOJI] = [20, 3, 10, 400];

export const scaling: Bench = async (say) => {
  const folder = await mkdtemp(join(tmpdir(), 'scaling-'));
  const store = await openLocalStore({ folder });
  await commitTiny(store, { step: 1, recipe: SMALL_RECIPE });
  const metricsPort = await freePort();
  const began = performance.now();
  const service = await spawnService('sampler', {
    IP_DIFFUSION_STORE: folder,
    IP_DIFFUSION_METRICS_ADDRESS: `127.0.0.1:${metricsPort}`,
  });
  const client = connectSampler(service.address);
  const secondsOf = async (count: number, steps: number): Promise<number> => {
    const from = performance.now();
    await sampleSmall(client, { count, steps });
    return (performance.now() - from) / 1000;
  };
  try {
    await secondsOf(1, 1);
    const startSeconds = (performance.now() - began) / 1000;
    say('a sampler has started and made an image');
    const { value: rows } = MEASURED.passRows;
    await secondsOf(rows, 1);
    const passes: number[] = [];
    for (let round = 0; round < ROUNDS; round++)
      passes.push((1000 * ((await secondsOf(rows, STEPS)) - (await secondsOf(rows, 1)))) / (STEPS - 1));
    say('passes are measured');
    const storeCalls = async (): Promise<number> =>
      [...(await scrape(metricsPort))]
        .filter(([series]) => series.startsWith('ip_diffusion_store_calls_total'))
        .reduce((sum, [, value]) => sum + value, 0);
    const before = await storeCalls();
    for (let call = 0; call < CALLS; call++) await secondsOf(1, 1);
    const storeCallsPerCall = ((await storeCalls()) - before) / CALLS;
    const found = {
      passMs: quantile(
        passes.sort((a, b) => a - b),
        0.5,
      ),
      startSeconds,
      imageBytes: await meanBytes(folder),
      storeCallsPerCall,
      series: (await scrape(metricsPort)).size,
    };
    const load = (loadavg()[0] ?? 0).toFixed(1);
    return {
      about: `a sampler with the 8M network on ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores, load ${load}; medians of ${ROUNDS} rounds`,
      rows: Object.entries(found).map(([name, value]) => {
        const { value: modelled, unit } = MEASURED[name as keyof typeof found];
        return { name, unit, 'in the model': modelled, 'here, now': rounded(value) };
      }),
    };
  } finally {
    client.close();
    service.child.kill('SIGTERM');
    await service.exited;
    await store.close();
    await rm(folder, { recursive: true, force: true });
  }
};

/** Of a PNG of an emoji on 32 x 32 pixels: the mean of every so many. */
async function meanBytes(folder: string): Promise<number> {
  const [size, channels] = [32, 3] as const;
  const drawings = join(ROOT, 'node_modules/@twemoji/svg');
  const names = (await readdir(drawings)).filter((name) => name.endsWith('.svg')).sort();
  const every = Math.floor(names.length / EMOJI);
  const files = Array.from({ length: EMOJI }, (_, i) => join(drawings, names[i * every] ?? ''));
  const outputPath = join(folder, 'emoji.pixels');
  const shape = { drawingSize: 36, imageSize: size, channels } as const;
  await rasteriseSvgFiles({ files, ...shape, outputPath }, () => undefined);
  const pixels = await readFile(outputPath);
  const bytes = size * size * channels;
  let sum = 0;
  for (let i = 0; i < EMOJI; i++) {
    const image = pixels.subarray(i * bytes, (i + 1) * bytes);
    sum += (await encodeImage(image, { width: size, height: size, channels }, 'png')).length;
  }
  return sum / EMOJI;
}
