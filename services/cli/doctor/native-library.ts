/** Whether TensorFlow loads; where it doesn't, what set-up needs. */

import { execFile } from 'node:child_process';
import { isAbsolute } from 'node:path';
import { promisify } from 'node:util';

import type { EngineBuild } from '../../../shared/engine/index.js';
import { DEVICE_SETTINGS, type Clock } from '../../../shared/foundation/index.js';
import { probeEngine } from '../../../shared/probe/index.js';
import type { Environment } from '../config.js';
import type { Finding } from './finding.js';

const COMMAND_TIMEOUT_MS = 10_000;

/**
 * Loads the library in a child process; where that fails, looks for what the set-up needs.
 * @throws the signal's reason.
 */
export async function checkNativeLibrary(
  environment: Environment,
  clock: Clock,
  signal: AbortSignal,
): Promise<Finding[]> {
  const found = await probeEngine({ environment, clock, signal });
  if (found.kind === 'started') {
    const { name, library, platform, threads } = found.build;
    if (name === 'pjrt') return [{ name: 'device', state: 'ok', text: `${library}; ${platform}` }];
    return [
      {
        name: 'TensorFlow',
        state: 'ok',
        text: `${library.replace('tensorflow ', '')}, ${platform}, ${threads} threads`,
      },
      kernelsFinding(found.build),
    ];
  }
  const { fallback, variable } = DEVICE_SETTINGS.device;
  const device = found.device ?? environment[variable] ?? fallback;
  if (device !== fallback && device !== 'cpu') {
    return [{ name: 'device', state: 'wrong', text: found.problem, remedy: remedyOf(device) }];
  }
  return [
    { name: 'TensorFlow', state: 'wrong', text: found.problem, remedy: 'npm run setup' },
    await checkCompiler(environment, signal),
    await checkCommand(
      'pip',
      'python3',
      ['-m', 'pip', '--version'],
      environment,
      'install Python 3 with pip',
      signal,
    ),
  ];
}

/** What to do about a device that doesn't start. */
function remedyOf(device: string): string {
  const { device: named, devices } = DEVICE_SETTINGS;
  const provided = isAbsolute(device) ? `check the plugin's path` : `npm run setup -- --device ${device}`;
  return `${provided}, set ${devices.variable} to a number that this machine has, or set ${named.variable}=cpu`;
}

/** Whether the engine has its own kernels, without which it takes 1.7 times as long. */
export function kernelsFinding({
  kernelLevel,
  withoutKernels,
}: Pick<EngineBuild, 'kernelLevel' | 'withoutKernels'>): Finding {
  const name = 'kernels';
  if (withoutKernels === undefined) {
    const built = kernelLevel === 'native' ? 'this processor' : (kernelLevel ?? 'an unknown processor');
    return { name, state: 'ok', text: `the engine's own are in use, built for ${built}` };
  }
  const { reason, remedy } = withoutKernels;
  const text = `without the engine's own kernels, which is slower: ${reason}`;
  return remedy === undefined ? { name, state: 'absent', text } : { name, state: 'wrong', text, remedy };
}

function checkCompiler(environment: Environment, signal: AbortSignal): Promise<Finding> {
  const compiler = environment['CXX'];
  return checkCommand(
    'C++ compiler',
    compiler === undefined || compiler === '' ? 'c++' : compiler,
    ['--version'],
    environment,
    'install g++ or clang++',
    signal,
  );
}

async function checkCommand(
  name: string,
  file: string,
  args: readonly string[],
  environment: Environment,
  remedy: string,
  signal: AbortSignal,
): Promise<Finding> {
  try {
    const { stdout } = await promisify(execFile)(file, args, {
      env: environment,
      timeout: COMMAND_TIMEOUT_MS,
      signal,
    });
    return { name, state: 'ok', text: stdout.split('\n', 1)[0] ?? file };
  } catch {
    signal.throwIfAborted();
    return { name, state: 'wrong', text: `${[file, ...args].join(' ')} does not run`, remedy };
  }
}
