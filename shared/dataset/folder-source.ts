/** A folder of images on this machine. */
import { hasScheme } from '../store/index.js';
import { addressField, classesField, type FileKind } from './source-kind.js';

const isHere = (address: string): boolean => !hasScheme(address);

const fields = {
  path: addressField({
    wanted: 'the path of a folder of images',
    placeholder: 'DIR',
    help: "the folder's path on the trainer's machine",
    isRight: isHere,
  }),
  classFolders: classesField('whether the first-level folders are the classes'),
};

export const folder: FileKind<typeof fields> = {
  help: "a folder of PNG, JPEG and WebP images on the trainer's machine, with its subfolders",
  fields,
  location: 'path',
  classes: 'classFolders',
  suits: isHere,
  open: async ({ classFolders }, context) => {
    const { imageFiles } = await import('./image-files.js');
    return imageFiles(context, classFolders);
  },
};
