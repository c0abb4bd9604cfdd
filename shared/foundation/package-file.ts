/** What programs take from the package.json that they came with. */

import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

interface PackageFile {
  readonly version: string;
  readonly engines: { readonly node: string };
}

/** The nearest one above this module: it is one folder deeper once it is compiled. */
export function packageFile(folder = import.meta.dirname): PackageFile {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as PackageFile;
  } catch (error) {
    if (dirname(folder) === folder) throw error;
    return packageFile(dirname(folder));
  }
}
