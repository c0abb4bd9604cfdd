/** At which sizes the presets' layers are tested: few pixels for `npm test`, whole images for `npm run test:kernels`. */
import type { Convolution } from './convolution-graph.js';
import type { ConvolutionLayer } from './preset-layers.js';

/** Set by `npm run test:kernels`. */
export const isExhaustive = process.env['IP_DIFFUSION_TEST_KERNELS'] === 'all';

// As in `conv3x3.cc` and `conv3x3-filter-gradient.cc`, for tiles of 2 x 4 outputs.
const [FREQUENCIES, TILE_ROWS, TILE_COLUMNS] = [24, 2, 4];
const LARGE_FLOATS = 256 * 1024;
const TOGETHER_FLOATS = 3 * 2 ** 20;
const LEAST_HELD = 48;
/** Enough for all the jobs into which small filters' gradients are divided. */
const TILES_OF_SMALL = 1600;

/** More channels than any preset has, in each direction alone too: of these the fewest tiles are held at a time. */
export const WIDEST: readonly ConvolutionLayer[] = [
  { inChannels: 8448, outChannels: 32, width: 8 },
  { inChannels: 32, outChannels: 8448, width: 8 },
  { inChannels: 1536, outChannels: 1216, width: 5 },
];

/** So many tiles that they are held in more than one round. */
function manyTiles({ inChannels, outChannels }: ConvolutionLayer): number {
  if (FREQUENCIES * inChannels * outChannels <= LARGE_FLOATS) return TILES_OF_SMALL;
  const held = Math.floor(TOGETHER_FLOATS / (FREQUENCIES * (inChannels + outChannels)));
  return Math.ceil(1.25 * Math.max(held, LEAST_HELD));
}

/** The images that a layer is tested on. */
export function sizesOf(layer: ConvolutionLayer): Convolution[] {
  const { width } = layer;
  const rowsOfTiles = Math.ceil(manyTiles(layer) / Math.ceil(width / TILE_COLUMNS));
  const images = Math.ceil((rowsOfTiles * TILE_ROWS) / width);
  if (!isExhaustive) {
    const height = Math.min(width, TILE_ROWS * Math.ceil(rowsOfTiles / images));
    return [{ ...layer, images, height }];
  }
  return [1, 2, images + 2].map((count) => ({ ...layer, images: count, height: width }));
}
