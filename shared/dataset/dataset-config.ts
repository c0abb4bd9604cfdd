/** What a data set is made from. */
import type { Channels } from '../images/index.js';

/** Where the images come from. */
export type DatasetSource =
  | { readonly kind: 'twemoji' }
  | {
      readonly kind: 'folder';
      readonly path: string;
      /** Whether the first-level folders name the classes; default false, without labels. */
      readonly classFolders?: boolean;
    };

export interface DatasetConfig {
  readonly source: DatasetSource;
  /** Height and width of each image, in pixels. */
  readonly imageSize: number;
  readonly channels: Channels;
}
