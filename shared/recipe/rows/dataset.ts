/** The images of a run. */

import { field, section, union } from '../../fields/index.js';
import { bool, integer, matching, oneOf } from '../../foundation/index.js';

const source = union('a source of images: {"kind": "folder", "path": "..."} or {"kind": "twemoji"}', {
  twemoji: { help: 'the bundled Twemoji set: 3,720 graphics, CC-BY 4.0', fields: {} },
  unknown: {
    help: 'of an imported model: nobody says what it was trained on, and no job can take it',
    fields: {},
    isInternal: true,
  },
  folder: {
    help: "a folder of PNG, JPEG and WebP images on the trainer's machine, with its subfolders",
    fields: {
      // Control characters have no place in a path that ends up in logs.
      path: field(
        matching(/^[^\u0000-\u001f]{1,4096}$/, 'the path of a folder of images', 'DIR'),
        "the folder's path on the trainer's machine",
      ),
      classFolders: field(bool, 'whether the first-level folders are the classes', { default: false }),
    },
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
  randomFlip: field(bool, 'mirror half of the images, drawn for each use', { default: true }),
});
