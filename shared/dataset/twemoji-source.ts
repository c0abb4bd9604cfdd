/** The emoji drawings of the Twemoji package as a source. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { compareUtf8 } from '../foundation/index.js';
import type { ImageSettings } from './image-settings.js';
import type { ImageSource } from './image-source.js';
import type { BundledKind } from './source-kind.js';

const fields = {};

export const twemoji: BundledKind<typeof fields> = {
  help: 'the bundled Twemoji set: 3,720 graphics, CC-BY 4.0',
  fields,
  open: (_source, settings) => twemojiSource(settings),
};

/** Every drawing is this many units wide and high. */
const DRAWING_SIZE = 36;

/**
 * The package's drawings in byte order of their names; `limit` takes only the first so many.
 * Graphics: Twemoji, CC-BY 4.0.
 */
export async function twemojiSource(
  { imageSize, channels }: ImageSettings,
  limit = Infinity,
): Promise<ImageSource> {
  const { decoderVersions, rasteriseSvgFiles, rasterisingRecipe } = await import('../images/index.js');
  const packageFile = createRequire(import.meta.url).resolve('@twemoji/svg/package.json');
  const folder = dirname(packageFile);
  const names = (await readdir(folder))
    .filter((name) => name.endsWith('.svg'))
    .sort(compareUtf8)
    .slice(0, limit);
  const packageSha256 = sha256Of(await readFile(packageFile));
  const key = [rasterisingRecipe, decoderVersions, packageSha256, names, imageSize, channels];
  return {
    fingerprint: sha256Of(JSON.stringify(key)),
    async prepare(outputPath, onProgress, signal) {
      const files = names.map((name) => join(folder, name));
      const report = (done: number) => {
        onProgress({ done, total: files.length });
      };
      report(0);
      await rasteriseSvgFiles(
        { files, drawingSize: DRAWING_SIZE, imageSize, channels, outputPath },
        report,
        signal,
      );
      const images = [];
      for (const file of files) {
        images.push({ sha256: sha256Of(await readFile(file)), width: imageSize, height: imageSize });
      }
      report(files.length);
      return { preparation: rasterisingRecipe, images, skipped: [] };
    },
  };
}

function sha256Of(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}
