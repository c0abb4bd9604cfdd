/** The flags that the commands of `batch` share, and what they open. */

import { samplerPool, type BatchPart, type SamplerPool } from '../../../shared/batch/index.js';
import { PRIORITIES } from '../../../shared/contract/index.js';
import { isInteger, type DiffusionError, type Parser } from '../../../shared/foundation/index.js';
import { DEFAULT_ADDRESSES, type ClientSecurity } from '../../../shared/rpc/index.js';
import {
  retryingStore,
  storeFromSettings,
  storeSettings,
  STORE_VARIABLE,
  type ObjectStore,
} from '../../../shared/store/index.js';
import type { Context } from '../command.js';
import { SAMPLER_VARIABLE } from '../config.js';
import { securityOptions } from '../connect.js';
import { formatDuration } from '../format.js';
import { address, integer, oneOf, option, repeated } from '../options.js';

/** The argument of commands that need a batch to be there. */
export const OUTPUT = { name: 'OUTPUT', help: 'a folder, or s3://bucket/prefix, with a batch' };

const MAX_PARTS = 100_000;

/** `i/n`, from 0 on. */
const part: Parser<BatchPart> = {
  placeholder: 'I/N',
  wanted: `two integers I/N, I from 0 to N - 1, N up to ${MAX_PARTS}`,
  read: (text) => {
    const [, index = NaN, of = NaN] = (/^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? []).map(Number);
    return isInteger(of, 1, MAX_PARTS) && isInteger(index, 0, of - 1) ? { index, of } : undefined;
  },
};

/** How a worker works; none of it changes what is made. */
export const workerOptions = {
  shard: option(part, 'make only the shards I, I + N, I + 2 N, ...; for schedulers that start N workers'),
  workers: option(integer(1, 256), 'calls at once; two for each sampler when not given'),
  server: repeated(
    address,
    "a sampler's address; may be given several times, and a name may have several IP addresses",
    {
      fallback: [DEFAULT_ADDRESSES.sampler],
      environment: SAMPLER_VARIABLE,
    },
  ),
  wait: option(
    integer(1, 1_000_000),
    'end with an error when no sampler, or the output, has answered for this many seconds',
    { fallback: 600 },
  ),
  priority: option(oneOf(PRIORITIES), 'who goes first while the samplers are busy', { fallback: 'batch' }),
  ...securityOptions,
};

export interface WorkerConnections extends ClientSecurity {
  readonly server: readonly string[];
  readonly wait: number;
}

/** Opens samplers for as long as they are used. Says when one is away, and when it answers again. */
export async function withSamplers<T>(
  { server, wait, ...security }: WorkerConnections,
  { terminal, clock }: Pick<Context, 'terminal' | 'clock'>,
  use: (pool: SamplerPool) => Promise<T>,
): Promise<T> {
  const away = new Set<string>();
  const pool = await samplerPool({
    ...{ addresses: server, security, clock, patienceMs: 1000 * wait },
    onAway: (at, state) => {
      terminal.emit({ event: state === undefined ? 'back' : 'away', server: at, ...awayFacts(state) });
      if (state === undefined) terminal.print(`${at} answers again`);
      else if (!away.has(at))
        terminal.print(`${at}: ${state.error.message}; trying again in ${formatDuration(state.ms)}`);
      if (state === undefined) away.delete(at);
      else away.add(at);
    },
  });
  try {
    return await use(pool);
  } finally {
    pool.close();
  }
}

function awayFacts(state: { readonly error: DiffusionError; readonly ms: number } | undefined): object {
  if (state === undefined) return {};
  const { code, reason, message } = state.error;
  return { error: { code, reason, message }, retryAfterMs: Math.round(state.ms) };
}

/**
 * Opens a batch's output. @param options `mustExist`: for commands that make nothing. @throws DiffusionError as
 * `storeFromSettings`.
 */
export async function withOutput<T>(
  output: string,
  { settings }: Pick<Context, 'settings'>,
  use: (store: ObjectStore) => Promise<T>,
  options: { readonly mustExist?: boolean } = {},
): Promise<T> {
  const store = await storeFromSettings(
    storeSettings({ ...settings.environment, [STORE_VARIABLE]: output }),
    options,
  );
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/** The same output, whose calls are repeated while it doesn't answer. */
export function patientOutput(
  store: ObjectStore,
  wait: number,
  { terminal, clock }: Pick<Context, 'terminal' | 'clock'>,
): ObjectStore {
  return retryingStore(store, {
    limitMs: 1000 * wait,
    clock,
    onOutage: (error) => {
      terminal.print(error === undefined ? 'the output answers again' : `${error.message}; trying again`);
    },
  });
}
