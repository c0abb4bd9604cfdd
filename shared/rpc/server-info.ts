/** What GetServerInfo answers, of every service alike. */

import { isAuthenticated, type AccessSettings } from '../access/index.js';
import { serverInfoWire } from '../contract/index.js';
import { packageFile, processorFeatures } from '../foundation/index.js';
import type { EngineKnown } from '../probe/index.js';
import type { Readiness } from './readiness.js';
import type { ServerSettings } from './server-settings.js';

const { Authentication, EngineState } = serverInfoWire;

/** Those that decide which kernels are used. */
const RELEVANT = /^(?:avx2?|fma|f16c|avx512\w*|avx_vnni|amx_\w+|asimd\w*|sve\w*|bf16|i8mm)$/;

export interface DescribedServer {
  /** Such as `diffusion.sampler.v1`. */
  readonly protocol: string;
  readonly startedMs: number;
  readonly settings: ServerSettings;
  readonly engine: EngineKnown;
  readonly readiness: Pick<Readiness, 'isReady' | 'problems'>;
}

export function serverInfo(server: DescribedServer): serverInfoWire.ServerInfo {
  const { protocol, startedMs, settings, engine, readiness } = server;
  const { security, reflection, metrics, tracing, limits, commit } = settings;
  const on = {
    reflection,
    metrics: metrics !== undefined,
    traces: tracing !== undefined,
    insecure: security.warning !== undefined,
  };
  return {
    version: packageFile().version,
    commit: commit ?? '',
    protocols: [protocol, 'grpc.health.v1', ...(reflection ? ['grpc.reflection.v1'] : [])],
    startedAt: new Date(startedMs),
    nodeVersion: process.version,
    engine: engineInfo(engine),
    instructionSets: [...processorFeatures()].filter((name) => RELEVANT.test(name)),
    ready: readiness.isReady(),
    problems: readiness.problems(),
    authentication: authenticationOf(security.access),
    tls: security.tls !== undefined,
    limits: limits.map(({ name, value = 0, unit = '', rule = '' }) => ({
      ...{ name, value: BigInt(value), unit, rule },
    })),
    features: Object.entries(on).flatMap(([name, isOn]) => (isOn ? [name] : [])),
  };
}

function engineInfo(known: EngineKnown): serverInfoWire.EngineInfo {
  const nothing = serverInfoWire.EngineInfo.create();
  if (known.kind === 'unknown') return { ...nothing, state: EngineState.ENGINE_STATE_UNKNOWN };
  if (known.kind === 'failed')
    return { ...nothing, state: EngineState.ENGINE_STATE_FAILED, problem: known.problem };
  const { name, library, platform, threads, kernelLevel, withoutKernels } = known.build;
  return {
    ...nothing,
    ...{ state: EngineState.ENGINE_STATE_READY, library, platform, threads },
    ownKernels: name === 'compiled' && withoutKernels === undefined,
    kernelLevel: kernelLevel ?? '',
    withoutKernels: withoutKernels?.reason ?? '',
  };
}

function authenticationOf(access: AccessSettings): serverInfoWire.Authentication {
  if (!isAuthenticated(access)) return Authentication.AUTHENTICATION_NONE;
  if (access.oidc === undefined) return Authentication.AUTHENTICATION_IDENTITIES;
  return access.identitiesFile === undefined
    ? Authentication.AUTHENTICATION_OIDC
    : Authentication.AUTHENTICATION_IDENTITIES_OR_OIDC;
}
