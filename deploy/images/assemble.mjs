/**
 * Run in an image's build after the set-up: puts into a folder what the services need when they run, and a list of what
 * that is made of.
 */
import { copyFileSync, cpSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { fromModule, npmBill, output, wheelComponent } from './bill.mjs';

const LIBRARIES = 'node_modules/@tensorflow/tfjs-node-gpu/deps/lib';
const [target] = process.argv.slice(2);

const bill = npmBill();
const library = fromModule(
  './deploy/setup/native-library-builds.ts',
  "{ ...module.libraryBuild('linux', 'x64', 'cpu'), version: module.LIBRARY_VERSION }",
);
bill.components.push(wheelComponent(library));
// What is needed only to build. Packages that stay keep what the set-up has put into them.
output('npm', ['prune', '--omit=dev', '--no-audit']);

mkdirSync(target, { recursive: true });
for (const name of ['dist', 'node_modules', 'proto', 'package.json', 'LICENSE'])
  cpSync(name, join(target, name), { recursive: true, verbatimSymlinks: true });
for (const name of readdirSync(LIBRARIES)) {
  const [from, to] = [join(LIBRARIES, name), join(target, LIBRARIES, name)];
  rmSync(to);
  // A link into the cache of the set-up, which the image does not have.
  copyFileSync(realpathSync(from), to);
  // Symbols for debuggers: a quarter of the library.
  if (name.startsWith('libtensorflow')) output('strip', ['--strip-unneeded', to]);
}
copyFileSync('deploy/images/health.mjs', join(target, 'health.mjs'));
writeFileSync(join(target, 'sbom.cdx.json'), `${JSON.stringify(bill, undefined, 1)}\n`);
