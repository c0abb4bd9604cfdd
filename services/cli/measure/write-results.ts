/** Results as files: `results.json`, `results.csv`, a picture of each figure and of images, and a page with all of it. */

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import {
  captionOf,
  pictureOf,
  reportHtml,
  resultsCsv,
  shown,
  type MeasureResult,
} from '../../../shared/exposure/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';
import { stackedRows } from '../../../shared/images/index.js';
import { factsOf } from '../../../shared/measuring/index.js';
import type { Context } from '../command.js';
import { table } from '../format.js';
import { toJsonLine } from '../terminal.js';
import type { Measured } from './run-measuring.js';

export const RESULTS_FILE = 'results.json';
const PNG_SCALE = 1.5;
/** Facts that stand below each picture. */
const IN_CAPTIONS: readonly string[] = ['model', 'checkpoint', 'weights', 'samples'];

/**
 * Writes the files and says where they are.
 *
 * @param facts What stands above everything; by default all of the contract.
 * @throws DiffusionError FAILED_PRECONDITION where they can't be written.
 */
export async function writeResults(
  title: string,
  folder: string,
  { results, contract }: Measured,
  facts = factsOf(contract),
): Promise<string> {
  const model = facts.flatMap(([name, value]) => (IN_CAPTIONS.includes(name) ? [`${name} ${value}`] : []));
  // A whole hash would be longer than the picture is wide.
  const line = model.join(', ').replace(/\b([0-9a-f]{12})[0-9a-f]{52}\b/g, '$1...');
  try {
    await mkdir(folder, { recursive: true });
    const json = { title, contract, facts: Object.fromEntries(facts), results };
    await writeFile(join(folder, RESULTS_FILE), `${toJsonLine(json)}\n`);
    await writeFile(join(folder, 'results.csv'), resultsCsv(results));
    for (const result of results) {
      const caption = [...(line === '' ? [] : [line]), ...captionOf(result)];
      for (const figure of result.figures) {
        const picture = pictureOf(figure, caption);
        const name = join(folder, `${result.measure}-${figure.name}`);
        await writeFile(`${name}.svg`, await picture.svg());
        await writeFile(`${name}.png`, await picture.png(PNG_SCALE));
      }
      const { pictures = [] } = result;
      if (pictures.length > 0) {
        const rows = pictures.map(({ images, png }) => ({ images, png: Buffer.from(png, 'base64') }));
        await writeFile(join(folder, `${result.measure}-images.png`), await stackedRows(rows));
      }
    }
    const page = join(folder, 'report.html');
    await writeFile(page, await reportHtml({ title, facts }, results));
    return page;
  } catch (cause) {
    if (cause instanceof DiffusionError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DiffusionError('FILE_NOT_USABLE', `${folder} can't be written: ${reason}`, { cause });
  }
}

/** The numbers of each result, on the terminal; everything as one JSON line with --json. */
export function printResults({ results, contract }: Measured, { terminal }: Context): void {
  // A line of JSON without pictures, which --out writes.
  const plain = results.map((result) => ({ ...result, pictures: undefined }));
  terminal.emit({ contract, facts: Object.fromEntries(factsOf(contract)), results: plain });
  for (const result of results) {
    terminal.print(`${result.measure}: ${result.help}`);
    for (const line of table(rowsOf(result))) terminal.print(`  ${line}`);
  }
}

function rowsOf({ findings }: MeasureResult): string[][] {
  return findings.map(({ name, value, low, high, ideal }) => [
    name,
    shown(value),
    `${shown(low)} to ${shown(high)}`,
    ideal === undefined ? '' : `ideal ${shown(ideal)}`,
  ]);
}
