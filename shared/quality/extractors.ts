/** The table of extractors that have names; any other name is the path of a frozen graph. */
import type { LinearAlgebra } from '../statistics/index.js';
import { openEfficientnet } from './efficientnet.js';
import type { Extractor } from './extractor.js';
import { openInception } from './inception.js';
import { dctExtractor, pixelExtractor } from './pixel-extractors.js';

export interface ExtractorOptions {
  readonly algebra: LinearAlgebra;
  /** Where set-up puts what is downloaded. */
  readonly cacheFolder: string;
}

type Open = (options: ExtractorOptions) => Promise<Extractor>;

const EXTRACTORS = {
  pixels: () => Promise.resolve(pixelExtractor),
  dct: () => Promise.resolve(dctExtractor),
  efficientnet: ({ cacheFolder }) => openEfficientnet(cacheFolder),
} satisfies Readonly<Record<string, Open>>;

export const EXTRACTOR_NAMES: readonly string[] = Object.keys(EXTRACTORS);

/**
 * @param name One of `EXTRACTOR_NAMES`, or the path of a frozen graph with the node names of the reference's.
 * @throws DiffusionError NOT_FOUND (reason EXTRACTOR_NOT_FOUND), FAILED_PRECONDITION (reason GRAPH_INVALID).
 */
export function openExtractor(name: string, options: ExtractorOptions): Promise<Extractor> {
  const open: Open | undefined = Object.hasOwn(EXTRACTORS, name)
    ? EXTRACTORS[name as keyof typeof EXTRACTORS]
    : undefined;
  return open === undefined ? openInception(name, options.algebra) : open(options);
}
