/** Python with the libraries that the benches compare the project with. */
import { join } from 'node:path';

import { standaloneContext } from '../../deploy/setup/context.js';
import { virtualEnvironment } from '../../deploy/setup/python.js';

/** What is compared with the engine: a worker for each framework, and what they share. */
export const PEERS_FOLDER = join(import.meta.dirname, 'peers');

/** Path of the interpreter. */
export function pythonWithPeers(say: (line: string) => void): Promise<string> {
  const requirements = join(PEERS_FOLDER, 'requirements.txt');
  return virtualEnvironment(standaloneContext(say), {
    name: 'bench',
    requirements,
    imports: 'torch, diffusers',
    size: 'some 3 GB',
  });
}
