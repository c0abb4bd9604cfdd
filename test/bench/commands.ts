/** How the processes that are compared are started. */
import { join } from 'node:path';

/** The engine's side, for a task of `engine-worker.ts`. */
export function engineCommand(task: object): string[] {
  const program = join(import.meta.dirname, 'engine-worker.ts');
  return [process.execPath, '--import=tsx', program, JSON.stringify(task)];
}

/** PyTorch's side, for a task of `peers/pytorch_worker.py`. */
export function pytorchCommand(python: string, task: object): string[] {
  return [python, '-B', 'pytorch_worker.py', JSON.stringify(task)];
}
