/** Python with the libraries that the benches compare the project with. */
import { join } from 'node:path';

import { standaloneContext } from '../../deploy/setup/context.js';
import { virtualEnvironment } from '../../deploy/setup/python.js';

export const PYTORCH_FOLDER = join(import.meta.dirname, 'pytorch');

/** Path of the interpreter. */
export function pythonWithPeers(say: (line: string) => void): Promise<string> {
  const requirements = join(PYTORCH_FOLDER, 'requirements.txt');
  return virtualEnvironment(standaloneContext(say), {
    name: 'bench',
    requirements,
    imports: 'torch, diffusers',
    size: 'some 3 GB',
  });
}
