/** Programs of containers, run to their end. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const MAX_OUTPUT_BYTES = 2 ** 26;

/** What a program printed on its standard output. @throws Error with its output where it fails. */
export async function program(command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(command, [...args], { maxBuffer: MAX_OUTPUT_BYTES });
    return stdout.trim();
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
    const shown = message.split('\n')[0] ?? '';
    throw new Error(`${shown}\n${stdout.slice(-4000)}${stderr.slice(-4000)}`, { cause: error });
  }
}

export function podman(...args: readonly string[]): Promise<string> {
  return program('podman', args);
}
