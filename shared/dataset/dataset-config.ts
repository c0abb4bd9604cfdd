/** What a data set is made from. */
import type { ImageSettings } from './image-settings.js';
import type { DatasetSource } from './sources.js';

export interface DatasetConfig extends ImageSettings {
  /** Where the images come from. */
  readonly source: DatasetSource;
}
