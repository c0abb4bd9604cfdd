/** Where a set-up works, and how it speaks and stops. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export interface SetupContext {
  /** The checkout. */
  readonly root: string;
  /** Shared by all checkouts: libraries, compiled addons and test tools. */
  readonly cache: string;
  /** Aborted by Ctrl-C; every child process and long loop ends with it. */
  readonly signal: AbortSignal;
  /** Prints one line of progress. */
  say(line: string): void;
}

/** The folder that checkouts share: `IP_DIFFUSION_CACHE`, or a folder of ours in the user's cache. */
export function cacheDirectory(env: NodeJS.ProcessEnv = process.env, platform = process.platform): string {
  if (env['IP_DIFFUSION_CACHE']) return resolve(env['IP_DIFFUSION_CACHE']);
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'ip-diffusion');
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ip-diffusion');
}
