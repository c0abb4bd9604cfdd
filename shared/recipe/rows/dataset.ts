/** The images of a run. */

import { SOURCES } from '../../dataset/index.js';
import { field, section, union } from '../../fields/index.js';
import { bool, integer, oneOf } from '../../foundation/index.js';

const source = union('a source of images, such as {"kind": "folder", "path": "..."} or {"kind": "twemoji"}', {
  ...SOURCES,
  unknown: {
    help: "stands in imported models, whose training images are unknown; a job can't use it",
    fields: {},
    isInternal: true,
  },
});

export const dataset = section('the images', {
  source,
  imageSize: field(
    integer(8, 512),
    'width and height of the images, in pixels, after resizing and a centre crop',
    { flag: 'image-size' },
  ),
  channels: field(oneOf([1, 3]), '3 for colour, 1 for grey', { default: 3 }),
  randomFlip: field(bool, 'mirror images at random, with probability 1/2 at each use', { default: true }),
});
