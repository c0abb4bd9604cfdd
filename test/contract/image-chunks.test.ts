import { randomBytes } from 'node:crypto';

import test from 'ava';

import { ImageAssembly, imageChunks, samplingWire } from '../../shared/contract/index.js';
import { at } from '../../shared/foundation/index.js';

const IMAGE = { format: samplingWire.ImageFormat.IMAGE_FORMAT_PNG, width: 1, height: 1, channels: 3 };

for (const size of [0, 1, 1024 * 1024, 1024 * 1024 + 1, 3_000_000]) {
  test(`an image of ${size} bytes comes together again`, (t) => {
    const bytes = randomBytes(size);
    const chunks = [...imageChunks({ ...IMAGE, bytes })];
    t.is(chunks.length, size <= 1024 * 1024 ? 1 : Math.ceil(size / (256 * 1024)));
    const assembly = new ImageAssembly();
    const results = chunks.map((chunk) => assembly.add(chunk));
    t.true(results.pop()?.equals(bytes));
    t.true(results.every((result) => result === undefined));
  });
}

test('a changed byte or a missing piece is data loss', (t) => {
  const chunks = [...imageChunks({ ...IMAGE, bytes: randomBytes(1024 * 1024 + 1) })];
  const missing = new ImageAssembly();
  missing.add(at(chunks, 0));
  t.throws(() => missing.add(at(chunks, 2)), { code: 'DATA_LOSS' });
  const { data } = at(chunks, chunks.length - 1);
  data[0] = at(data, 0) ^ 1;
  const changed = new ImageAssembly();
  t.throws(
    () => {
      for (const chunk of chunks) changed.add(chunk);
    },
    { code: 'DATA_LOSS' },
  );
});
