import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { encodeImage } from '../../shared/images/index.js';
import { programArguments } from '../programs.js';

const MAIN = programArguments(import.meta.url, '../../services/cli/main');

interface Demo {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Resolves when it has written such a text. */
  says(pattern: RegExp): Promise<void>;
  readonly exited: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
}

function startDemo(folder: string, flags: readonly string[]): Demo {
  const child = spawn(process.execPath, [...MAIN, 'demo', ...flags], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  }
  const exited = once(child, 'exit') as Demo['exited'];
  const says = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(text)) {
      const gone = await Promise.race([
        once(child.stdout, 'data').then(() => false),
        exited.then(() => true),
      ]);
      if (gone) throw new Error(`it ended without saying ${String(pattern)}: ${text}`);
    }
  };
  return { child, output: () => text, says, exited };
}

/** A folder with a folder of images in it, each in one colour. */
async function folderWithImages(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'demo-'));
  await mkdir(join(folder, 'photos'));
  for (let n = 0; n < 12; n++) {
    const pixels = new Uint8Array(16 * 16 * 3).fill(20 * n);
    const png = await encodeImage(pixels, { width: 16, height: 16, channels: 3 }, 'png');
    await writeFile(join(folder, 'photos', `${n}.png`), png);
  }
  return folder;
}

test('the demo ends cleanly on Ctrl-C, resumes at the next run, and writes its pictures', async (t) => {
  const folder = await folderWithImages();
  const flags = ['--images', 'photos', '--image-size', '16', '--count', '4', '--sample-steps', '2'];

  const first = startDemo(folder, [...flags, '--minutes', '60']);
  await first.says(/training .* step/);
  // Of the 12, one is held out.
  t.regex(first.output(), /^training on 11 images of 16x16 \(.*; 1 more is held out for evaluation\) for/m);
  first.child.kill('SIGINT');
  t.deepEqual(await first.exited, [130, null], first.output());
  t.regex(first.output(), /stopped; run the same command again to resume/);
  const state = JSON.parse(await readFile(join(folder, 'demo-data/state/demo-photos-16.json'), 'utf8')) as {
    trainedMs: number;
  };
  t.true(state.trainedMs > 0);

  // Less than what is trained already and a second: the model is as good as finished.
  const second = startDemo(folder, [...flags, '--minutes', String(Math.max(0.1, state.trainedMs / 48_000))]);
  t.deepEqual(await second.exited, [0, null], second.output());
  t.regex(second.output(), /resuming demo-photos-16 at step [1-9]|has been trained for/);
  t.regex(second.output(), /done in .*\n {2}demo-output\/samples\.png +samples of the model/);
  for (const file of [
    'samples.png',
    'training-images.png',
    'loss.png',
    'metrics.csv',
    'samples/provenance.json',
  ]) {
    await t.notThrowsAsync(access(join(folder, 'demo-output', file)));
  }
});

test('images that are not there are one clear error', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'demo-'));
  const demo = startDemo(folder, ['--images', 'nowhere']);
  t.deepEqual(await demo.exited, [1, null]);
  t.regex(demo.output(), /^error: .*nowhere/m);
});
