/** NumPy archives as the reference writes its samples. */
import { addressField, classesField, type FileKind } from './source-kind.js';

const EXTENSION = '.npz';

const fields = {
  location: addressField({
    wanted: 'an .npz file or a folder of them, here or at s3://bucket/prefix',
    placeholder: 'FILE.npz|DIR|s3://BUCKET/PREFIX',
    help: "one .npz file, or a folder of them: on the trainer's machine or at s3://bucket/prefix",
  }),
  classes: classesField('whether arr_1, integers [N] from 0 on, has the classes'),
};

export const npz: FileKind<typeof fields> = {
  help: 'NumPy archives as the reference writes its samples: arr_0 is uint8 [N, H, W, 3]',
  fields,
  location: 'location',
  classes: 'classes',
  extension: EXTENSION,
  suits: (address) => address.toLowerCase().endsWith(EXTENSION),
  open: async ({ classes }, context) => {
    const { npzArchives } = await import('./npz-archives.js');
    return npzArchives(context, classes);
  },
};
