/** Where the golden reference values lie: computed by the paper's reference implementation, see data/README.md. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of golden reference values: `GOLDEN_DIR`, or the committed subset. */
export function goldenDir(): string {
  return process.env['GOLDEN_DIR'] ?? fileURLToPath(new URL('data', import.meta.url));
}

/** The bytes of a golden file. */
export function goldenFile(name: string): Buffer {
  return readFileSync(join(goldenDir(), name));
}

/** The names of all golden files that begin so, sorted. */
export function goldenNames(prefix = ''): string[] {
  return readdirSync(goldenDir())
    .filter((name) => name.startsWith(prefix))
    .sort();
}
