/** EfficientNet-Lite0 against PyTorch; where set-up hasn't put its weights into the cache, what the error says. */
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import test from 'ava';
import { cacheFolder } from '../../shared/foundation/index.js';
import { openExtractor } from '../../shared/quality/index.js';
import { efficientnetPath } from '../../shared/quality/efficientnet-file.js';
import { openLinearAlgebra } from '../../shared/engine/index.js';
import { refusal } from './images.js';

interface Golden {
  readonly size: number;
  /** Every so many features are in the file. */
  readonly step: number;
  readonly features: readonly (readonly number[])[];
}

/** Of its largest magnitude: float32, 50 layers. */
const TOLERANCE = 1e-4;

const file = new URL('data/efficientnet_features.json', import.meta.url);
const golden = JSON.parse(readFileSync(file, 'utf8')) as Golden;
const cache = cacheFolder(process.env);

/** The images of `data/make_efficientnet_features.py`. */
function pixelsOf(count: number, size: number): Uint8Array {
  return Uint8Array.from({ length: count * size * size * 3 }, (_, at) => {
    const [n, y, x, c] = [
      Math.floor(at / (3 * size * size)),
      Math.floor(at / (3 * size)) % size,
      Math.floor(at / 3) % size,
      at % 3,
    ];
    return (7 * x + 13 * y + 29 * c + 53 * n + x * y * (n + 1)) % 256;
  });
}

const withWeights = existsSync(efficientnetPath(cache)) ? test : test.skip;

withWeights("the features are PyTorch's, at any number of images", async (t) => {
  const algebra = await openLinearAlgebra();
  const extractor = await openExtractor('efficientnet', { algebra, cacheFolder: cache });
  const { size, step, features } = golden;
  const shape = { width: size, height: size, channels: 3 } as const;
  for (const count of [features.length, 1]) {
    const { pooled } = await extractor.extract({ count, shape, pixels: pixelsOf(count, size) });
    const columns = pooled.length / count;
    const largest = Math.max(...features.flat());
    for (let n = 0; n < count; n++)
      for (const [i, value] of (features[n] ?? []).entries()) {
        const got = pooled[n * columns + i * step] ?? NaN;
        t.true(
          Math.abs(got - value) <= TOLERANCE * largest,
          `image ${n}, feature ${i * step}: ${got}, ${value}`,
        );
      }
  }
  const large = { width: 256, height: 256, channels: 3 } as const;
  const pixels = new Uint8Array(256 * 256 * 3);
  const error = await t.throwsAsync(extractor.extract({ count: 1, shape: large, pixels }));
  refusal(t, error, 'EXTRACTOR_UNSUITED', /at most 224x224.*got 256x256/);
  extractor.close();
  algebra.close();
});

test('without the weights the error says how to get them', async (t) => {
  const algebra = await openLinearAlgebra();
  const error = await t.throwsAsync(openExtractor('efficientnet', { algebra, cacheFolder: tmpdir() }));
  refusal(t, error, 'EXTRACTOR_NOT_FOUND', /weights of EfficientNet-Lite0/, /npm run setup -- --extractor/);
  algebra.close();
});
