/** Lists of what an image is made of, in the format of CycloneDX. */
import { execFileSync } from 'node:child_process';

const MAX_OUTPUT_BYTES = 2 ** 26;

/** What a program prints. @throws Error where it fails. */
export function output(command, args, options = {}) {
  return execFileSync(command, args, { encoding: 'utf8', maxBuffer: MAX_OUTPUT_BYTES, ...options });
}

/**
 * The packages of the lockfile in `cwd` that are needed at run time. npm's own `--omit=dev` leaves out what a package for
 * development needs as well.
 */
export function npmBill(cwd = '.') {
  const all = JSON.parse(output('npm', ['sbom', '--package-lock-only', '--sbom-format=cyclonedx'], { cwd }));
  const left = new Set(all.components.filter(isForDevelopment).map((component) => component['bom-ref']));
  const stays = (ref) => !left.has(ref);
  return {
    ...all,
    components: all.components.filter((component) => stays(component['bom-ref'])),
    dependencies: all.dependencies
      .filter(({ ref }) => stays(ref))
      .map((each) => ({ ...each, dependsOn: each.dependsOn?.filter(stays) })),
  };
}

function isForDevelopment({ properties = [] }) {
  return properties.some(({ name }) => name === 'cdx:npm:package:development');
}

/** A wheel, as the set-up downloads it from the Python package index. */
export function wheelComponent({ package: name, version, sha256 }) {
  return {
    type: 'library',
    'bom-ref': `${name}@${version}`,
    name,
    version,
    purl: `pkg:pypi/${name}@${version}`,
    hashes: [{ alg: 'SHA-256', content: sha256 }],
  };
}

/** What an expression gives that may use a module in TypeScript of this project as `module`. Needs the packages of the set-up. */
export function fromModule(path, expression) {
  const script = `import('${path}').then((module) => console.log(JSON.stringify(${expression})))`;
  return JSON.parse(output(process.execPath, ['--import=tsx', '-e', script]));
}
