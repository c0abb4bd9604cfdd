/** The table of formats. A new one is a row here and a file of its own. */

import { folder } from './folder-format.js';
import type { ShardFormat } from './shard-format.js';
import { webdataset } from './webdataset-format.js';

export const FORMATS = { webdataset, folder } as const satisfies Readonly<Record<string, ShardFormat>>;

export type FormatName = keyof typeof FORMATS;

export const FORMAT_NAMES = Object.keys(FORMATS) as [FormatName, ...FormatName[]];

/** What each is, for help. */
export const formatHelp = Object.entries(FORMATS)
  .map(([name, { help }]) => `${name} (${help})`)
  .join(', ');
