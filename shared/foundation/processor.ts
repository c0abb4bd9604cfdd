/** Which processor this is, as far as compiled code must know it. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { arch, cpus } from 'node:os';

/**
 * The same text on every machine that runs code compiled for this one: a digest over the instruction sets, where the
 * system provides them, else over the processor's name.
 */
export function processorIdentity(): string {
  const known = instructionSets() ?? cpus()[0]?.model ?? 'unknown';
  return createHash('sha256').update(`${arch()} ${known}`).digest('hex').slice(0, 16);
}

/** The processor's instruction sets as `/proc/cpuinfo` names them; empty where the system does not say. */
export function processorFeatures(): ReadonlySet<string> {
  return new Set(instructionSets()?.split(' '));
}

function instructionSets(): string | undefined {
  try {
    return /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}
