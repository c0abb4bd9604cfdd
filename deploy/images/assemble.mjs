/**
 * Run in an image's build after the set-up: puts into a folder what the services need when they run, and a list of what
 * that is made of.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LIBRARIES = 'node_modules/@tensorflow/tfjs-node-gpu/deps/lib';
const [target] = process.argv.slice(2);
const run = (command, args) => execFileSync(command, args, { encoding: 'utf8', maxBuffer: 2 ** 26 });

// What is needed only to build. Packages that stay keep what the set-up has put into them.
run('npm', ['prune', '--omit=dev', '--no-audit']);
const bill = JSON.parse(run('npm', ['sbom', '--package-lock-only', '--omit=dev', '--sbom-format=cyclonedx']));
bill.components.push(nativeLibrary());

mkdirSync(target, { recursive: true });
for (const name of ['dist', 'node_modules', 'proto', 'package.json', 'LICENSE'])
  cpSync(name, join(target, name), { recursive: true, verbatimSymlinks: true });
for (const name of readdirSync(LIBRARIES)) {
  const [from, to] = [join(LIBRARIES, name), join(target, LIBRARIES, name)];
  rmSync(to);
  // A link into the cache of the set-up, which the image does not have.
  copyFileSync(realpathSync(from), to);
  // Symbols for debuggers: a quarter of the library.
  if (name.startsWith('libtensorflow')) run('strip', ['--strip-unneeded', to]);
}
copyFileSync('deploy/images/health.mjs', join(target, 'health.mjs'));
writeFileSync(join(target, 'sbom.cdx.json'), `${JSON.stringify(bill, undefined, 1)}\n`);

/** As the set-up downloads it from the Python package index. */
function nativeLibrary() {
  const script =
    "import('./deploy/setup/native-library-builds.ts').then(({ libraryBuild: of, LIBRARY_VERSION: version }) =>" +
    " console.log(JSON.stringify({ ...of('linux', 'x64', 'cpu'), version })))";
  const build = JSON.parse(
    run(process.execPath, ['--experimental-strip-types', '--no-warnings', '-e', script]),
  );
  return {
    type: 'library',
    'bom-ref': `${build.package}@${build.version}`,
    name: build.package,
    version: build.version,
    purl: `pkg:pypi/${build.package}@${build.version}`,
    hashes: [{ alg: 'SHA-256', content: build.sha256 }],
  };
}
