/** How many images a sample grid has, and how many steps each takes. */

/** Steps of each image, unless there are fewer timesteps. */
export const GRID_STEPS = 25;

const MAX_COLUMNS = 4;
/** Keeps the PNG of pure noise under 1 MiB. */
const MAX_SIDE_PIXELS = 560;

/** Columns, and as many rows, of a grid. */
export function gridColumns(imageSize: number): number {
  return Math.max(1, Math.min(MAX_COLUMNS, Math.floor(MAX_SIDE_PIXELS / imageSize)));
}

/** Images of a grid: the batch size at which the engine is asked for predictions. */
export function gridImages(imageSize: number): number {
  return gridColumns(imageSize) ** 2;
}
