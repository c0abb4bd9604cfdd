/** Tar shards as WebDataset writes them. */
import { addressField, classesField, type FileKind } from './source-kind.js';

const EXTENSION = '.tar';

const fields = {
  location: addressField({
    wanted: 'a .tar file or a folder of them, here or at s3://bucket/prefix',
    placeholder: 'FILE.tar|DIR|s3://BUCKET/PREFIX',
    help: "one .tar file, or a folder of them: on the trainer's machine or at s3://bucket/prefix",
  }),
  classes: classesField("whether each sample's .cls, a number from 0 on, is its class"),
};

export const webdataset: FileKind<typeof fields> = {
  help: 'tar shards as WebDataset writes them',
  fields,
  location: 'location',
  classes: 'classes',
  extension: EXTENSION,
  suits: (address) => address.toLowerCase().endsWith(EXTENSION),
  open: async ({ classes }, context) => {
    const { webdatasetShards } = await import('./webdataset-shards.js');
    return webdatasetShards(context, classes);
  },
};
