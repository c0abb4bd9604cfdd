/** Images in a bucket. */
import { hasScheme } from '../store/index.js';
import { addressField, classesField, type FileKind } from './source-kind.js';

const fields = {
  url: addressField({
    wanted: 'the address of a bucket, such as s3://bucket/prefix',
    placeholder: 's3://BUCKET/PREFIX',
    help: "the bucket and a prefix; the trainer's settings have the server and the keys",
    isRight: hasScheme,
  }),
  classFolders: classesField('whether the first-level folders below the prefix are the classes'),
};

export const bucket: FileKind<typeof fields> = {
  help: 'PNG, JPEG and WebP images in a bucket, with its subfolders',
  fields,
  location: 'url',
  classes: 'classFolders',
  suits: hasScheme,
  open: async ({ classFolders }, context) => {
    const { imageFiles } = await import('./image-files.js');
    return imageFiles(context, classFolders);
  },
};
