/** Samplers of one store, which share the calls of a batch. One that is away is left alone for a while. */

import { DiffusionError, pause, type Clock } from '../foundation/index.js';
import type { samplerWire } from '../contract/index.js';
import { connectSampler, type ClientSecurity } from '../rpc/index.js';
import { outageDelayMs } from '../store/index.js';
import { resolveHost, samplersAt, type Resolve, type SamplerAddress } from './sampler-addresses.js';

export interface PoolSettings {
  /** `host:port`; a name with several IP addresses is as many samplers. */
  readonly addresses: readonly string[];
  readonly security: ClientSecurity;
  readonly clock: Clock;
  /** How long no sampler may answer before a call gives up. */
  readonly patienceMs: number;
  /** A sampler failed and is tried again after a time; undefined: it answers again. */
  readonly onAway: (
    address: string,
    away: { readonly error: DiffusionError; readonly ms: number } | undefined,
  ) => void;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
}

/** A sampler, for one call. */
export interface PooledSampler {
  readonly address: string;
  readonly client: samplerWire.SamplerServiceClient;
  /** To be called whenever something has come from it. */
  readonly answered: () => void;
}

export interface SamplerPool {
  /** How many samplers there are now. */
  size(): number;
  /**
   * Makes a call with the sampler that has the fewest, and again, with another one if there is, while it fails in a way
   * that passes: a sampler that is away, or busy, is left alone for as long as it says.
   *
   * @throws DiffusionError SERVICE_UNREACHABLE where no sampler has answered for `patienceMs`; what else `work` throws;
   * the signal's reason.
   */
  use<T>(signal: AbortSignal, work: (sampler: PooledSampler) => Promise<T>): Promise<T>;
  close(): void;
}

interface Member extends SamplerAddress {
  readonly client: samplerWire.SamplerServiceClient;
  calls: number;
  failures: number;
  awayUntilMs: number;
  /** It is no longer among the addresses: it ends its calls and gets no other. */
  isGone: boolean;
}

/** How often names are resolved again: samplers come and go. */
const RESOLVE_EVERY_MS = 10_000;

/** Connects to samplers; none of them has to answer yet. @throws DiffusionError as `connectSampler`. */
export async function samplerPool(settings: PoolSettings): Promise<SamplerPool> {
  const { clock, patienceMs, onAway } = settings;
  let members: readonly Member[] = [];
  let [turn, answeredMs, resolvedMs] = [0, clock.monotonicMs(), clock.monotonicMs()];

  /** Takes the samplers that there are now; where a name can't be resolved, those that it had, or the name itself. */
  async function refresh(): Promise<void> {
    resolvedMs = clock.monotonicMs();
    const found = await Promise.all(settings.addresses.map(currentSamplers));
    const wanted = new Map(found.flat().map((each) => [each.address, each]));
    const kept = members.filter(({ address }) => wanted.delete(address));
    const gone = members.filter((member) => !kept.includes(member));
    members = [...kept, ...[...wanted.values()].map((each) => connected(each, settings))];
    for (const member of gone) {
      member.isGone = true;
      closeUnused(member);
    }
  }

  async function currentSamplers(address: string): Promise<readonly SamplerAddress[]> {
    try {
      return await samplersAt(address, settings.resolve ?? resolveHost);
    } catch {
      const host = address.slice(0, address.lastIndexOf(':'));
      const before = members.filter(({ name }) => name === host);
      return before.length > 0 ? before : [{ address, name: undefined }];
    }
  }

  async function next(signal: AbortSignal): Promise<Member> {
    for (;;) {
      signal.throwIfAborted();
      const now = clock.monotonicMs();
      // Not waited for: a resolver that hangs must not hold calls up.
      if (now - resolvedMs >= RESOLVE_EVERY_MS) void refresh();
      const order = [...members.slice(turn), ...members.slice(0, turn)];
      const ready = order.filter(({ awayUntilMs }) => awayUntilMs <= now);
      const [first] = ready.toSorted((a, b) => a.calls - b.calls);
      if (first !== undefined) {
        turn = (members.indexOf(first) + 1) % members.length;
        return first;
      }
      const soonest = Math.min(...members.map(({ awayUntilMs }) => awayUntilMs)) - now;
      await pause(Math.min(soonest, RESOLVE_EVERY_MS), signal);
    }
  }

  function answered(member: Member): void {
    answeredMs = clock.monotonicMs();
    member.awayUntilMs = -Infinity;
    if (member.failures === 0) return;
    member.failures = 0;
    onAway(member.address, undefined);
  }

  /**
   * @param sinceMs When the call was asked for: a pool that had nothing to do heard nothing either.
   * @throws the error where it doesn't pass, or no sampler has answered for too long.
   */
  function failed(member: Member, error: unknown, sinceMs: number): void {
    if (!passes(error)) throw error;
    const now = clock.monotonicMs();
    // Whoever refuses a call because it is busy has answered.
    if (error.retryAfterMs !== undefined) answeredMs = now;
    if (now - Math.max(answeredMs, sinceMs) >= patienceMs) {
      const text = `no sampler has answered for ${Math.round(patienceMs / 1000)} s: ${error.message}`;
      throw new DiffusionError('SERVICE_UNREACHABLE', text, { cause: error });
    }
    member.failures += 1;
    const ms = error.retryAfterMs ?? outageDelayMs(member.failures);
    member.awayUntilMs = now + ms;
    if (!member.isGone) onAway(member.address, { error, ms });
  }

  await refresh();
  return {
    size: () => members.length,
    async use(signal, work) {
      const beganMs = clock.monotonicMs();
      for (;;) {
        const member = await next(signal);
        member.calls += 1;
        try {
          return await work({
            ...member,
            answered: () => {
              answered(member);
            },
          });
        } catch (error) {
          signal.throwIfAborted();
          failed(member, error, beganMs);
        } finally {
          member.calls -= 1;
          closeUnused(member);
        }
      }
    },
    close: () => {
      for (const { client } of members) client.close();
    },
  };
}

function connected(at: SamplerAddress, { security }: PoolSettings): Member {
  const { address, name } = at;
  // The certificate has the name, not the IP address.
  const channel = name === undefined ? {} : { 'grpc.ssl_target_name_override': name };
  const client = connectSampler(address, { security, channel });
  return { ...at, client, ...{ calls: 0, failures: 0, awayUntilMs: -Infinity, isGone: false } };
}

function closeUnused({ client, calls, isGone }: Member): void {
  if (isGone && calls === 0) client.close();
}

/** What a connection that breaks can look like; none of these comes from a service itself without its reason. */
const OF_CONNECTIONS: ReadonlySet<string> = new Set(['CANCELLED', 'INTERNAL', 'DEADLINE_EXCEEDED']);
/** A worker that was stopped for a while read nothing; a message that came damaged is sent again. */
const PASSING: ReadonlySet<string> = new Set(['SLOW_READER', 'TRANSFER_DAMAGED']);

/** Whether the same call may succeed later, or with another sampler. */
function passes(error: unknown): error is DiffusionError {
  if (!(error instanceof DiffusionError)) return false;
  const { code, reason, retryAfterMs } = error;
  if (code === 'UNAVAILABLE' || retryAfterMs !== undefined || PASSING.has(reason)) return true;
  return OF_CONNECTIONS.has(code) && reason === code && error.metadata['id'] === undefined;
}
