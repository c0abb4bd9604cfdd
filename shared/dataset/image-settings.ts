/** What images become. */
import type { Channels } from '../images/index.js';

export interface ImageSettings {
  /** Height and width of each image, in pixels. */
  readonly imageSize: number;
  readonly channels: Channels;
}
