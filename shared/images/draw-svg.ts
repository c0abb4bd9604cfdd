/** SVG that this program made -> PNG, in a process of its own, because this process refuses SVG. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { buffer, text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { DiffusionError } from '../foundation/index.js';
import { siblingModule } from '../processes/index.js';

const HUNG_AFTER_MS = 60_000;

/**
 * Draws SVG on white; letters are those of `fonts/`, on every machine (family Inter, weights 400 and 600). Only for SVG
 * of this program's own making: SVG from users must never come here.
 *
 * @param scale Pixels a unit of the drawing.
 * @throws DiffusionError INTERNAL (reason RASTERISE_FAILED) where it can't be drawn.
 */
export async function drawingToPng(svg: string, scale: number): Promise<Uint8Array> {
  const child = fork(fileURLToPath(siblingModule(import.meta.url, './draw-process')), [String(scale)], {
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
    // Nothing else of the environment may change the drawing.
    env: { FONTCONFIG_FILE: fileURLToPath(new URL('fonts/fonts.conf', import.meta.url)) },
    timeout: HUNG_AFTER_MS,
  });
  const { stdin, stdout, stderr } = child;
  if (stdin === null || stdout === null || stderr === null)
    throw new Error('wanted three pipes to the drawing process; got fewer');
  // A process that ends before it has read everything says why by how it ended.
  stdin.on('error', () => undefined).end(svg);
  const [png, errorText, [code, signal]] = await Promise.all([
    buffer(stdout),
    text(stderr),
    once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
  ]);
  if (code === 0) return png;
  const ended = `its process ended with ${signal ?? `code ${String(code)}`}`;
  throw new DiffusionError('RASTERISE_FAILED', `drawing failed: ${ended}: ${errorText.slice(-2000)}`);
}
