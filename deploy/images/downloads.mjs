/**
 * Run in an image's build after `npm run setup -- --temporal` or `--device NAME` with a folder for its downloads: removes
 * what an image has no use for, and writes the list of the rest.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { fromModule, npmBill, wheelComponent } from './bill.mjs';

const [what, downloads] = process.argv.slice(2);

/** Packages of npm: without the programs for other systems. */
function temporal() {
  const [version] = readdirSync(join(downloads, 'temporal'));
  const folder = join(downloads, 'temporal', version);
  const programs = join(folder, 'node_modules/@temporalio/core-bridge/releases');
  for (const system of readdirSync(programs))
    if (system !== 'x86_64-unknown-linux-gnu') rmSync(join(programs, system), { recursive: true });
  return npmBill(folder);
}

/** Wheels. */
function device(name) {
  const wheels = fromModule('./shared/engine/pjrt/devices.ts', `module.DEVICES['${name}'].wheels`);
  return { bomFormat: 'CycloneDX', specVersion: '1.5', version: 1, components: wheels.map(wheelComponent) };
}

const bill = what === 'temporal' ? temporal() : device(what);
writeFileSync(join(downloads, 'sbom.cdx.json'), `${JSON.stringify(bill, undefined, 1)}\n`);
