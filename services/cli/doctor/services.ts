/** Whether a service answers and reports SERVING. */

import {
  callUnary,
  connectSampler,
  connectTrainer,
  DEFAULT_ADDRESSES,
  fromServiceError,
  isLoopback,
  type ClientSecurity,
  type ServiceName,
} from '../../../shared/rpc/index.js';
import type { Clock } from '../../../shared/foundation/index.js';
import { askHealth } from '../ask-health.js';
import { startRemedy } from '../connect.js';
import type { Finding } from './finding.js';

const ANSWER_WITHIN_MS = 2000;

interface ServiceCheck {
  /** Where the user named one; a service at the default address need not run. */
  readonly address: string | undefined;
  readonly security: ClientSecurity;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** @throws the signal's reason; DiffusionError for certificates that can't be used. */
export async function checkService(
  name: ServiceName,
  { address: named, security, clock, signal }: ServiceCheck,
): Promise<Finding> {
  const at = named ?? DEFAULT_ADDRESSES[name];
  try {
    const status = await askHealth(name, { address: at, kind: 'ready', security, clock, signal });
    if (status === 'SERVING') return await exposure(name, at, security, signal);
    return {
      name,
      state: 'wrong',
      text: `${status} at ${at}`,
      remedy: "wait for it to be ready, or see the service's log",
    };
  } catch (error) {
    signal.throwIfAborted();
    const { code, message } = fromServiceError(error);
    if (code === 'UNAVAILABLE' || code === 'DEADLINE_EXCEEDED') {
      return {
        name,
        state: named === undefined ? 'absent' : 'wrong',
        text: `nothing answers at ${at}`,
        remedy: startRemedy(name),
      };
    }
    return {
      name,
      state: 'wrong',
      text: `${at}: ${message}`,
      remedy: 'another program listens there; use another address',
    };
  }
}

/** A service that serves: a warning where a network may reach it without TLS or without a token. */
async function exposure(
  name: ServiceName,
  at: string,
  { ca, cert, key }: ClientSecurity,
  signal: AbortSignal,
): Promise<Finding> {
  const asked = await answersWithoutToken(name, at, { ca, cert, key }, signal);
  const missing = [...(ca === undefined ? ['TLS'] : []), ...(asked ? ['a token'] : [])];
  const ok: Finding = { name, state: 'ok', text: `serving at ${at}` };
  if (isLoopback(at) || missing.length === 0) return ok;
  return {
    ...ok,
    state: 'warning',
    text: `serving at ${at} without ${missing.join(' and ')}: whoever reaches that address can use it`,
    remedy: 'start it with --tls-cert, --tls-key and --identities',
  };
}

async function answersWithoutToken(
  name: ServiceName,
  at: string,
  security: ClientSecurity,
  signal: AbortSignal,
): Promise<boolean> {
  const limits = { signal, timeoutMs: ANSWER_WITHIN_MS };
  const trainer = connectTrainer(at, { security });
  const sampler = connectSampler(at, { security });
  try {
    // Both are refused in the same way, whatever the name is, where a token is wanted.
    if (name === 'trainer') await callUnary(trainer, trainer.getTrainingJob, { jobId: '' }, limits);
    else await callUnary(sampler, sampler.getModel, { model: '' }, limits);
    return true;
  } catch (error) {
    signal.throwIfAborted();
    return fromServiceError(error).code !== 'UNAUTHENTICATED';
  } finally {
    trainer.close();
    sampler.close();
  }
}
