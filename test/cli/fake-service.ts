/** What services that answer from a script have in common. */

import type { ExecutionContext } from 'ava';

import { serverInfoWire, trainerWire, weightsToWire } from '../../shared/contract/index.js';
import { startGrpcServer } from '../../shared/rpc/index.js';
import { securityOf, SILENT } from '../rpc/security.js';

export const SERVER_INFO = serverInfoWire.ServerInfo.fromPartial({
  version: '1.2.3',
  ready: true,
  engine: { state: serverInfoWire.EngineState.ENGINE_STATE_READY, library: 'tensorflow 2.21.0', threads: 2 },
  authentication: serverInfoWire.Authentication.AUTHENTICATION_NONE,
  limits: [{ name: 'max_images', value: 7n, unit: '', rule: '' }],
});

export const OPTIONS = { report: () => undefined, stallTimeoutMs: 10_000 };

export const JOB = trainerWire.TrainingJob.fromPartial({
  jobId: 'job-1',
  model: 'tiny',
  state: trainerWire.JobState.JOB_STATE_RUNNING,
  recipe: {
    name: 'tiny',
    preset: 'demo-32',
    training: { steps: 3, batchSize: 2 },
    warmStart: { model: 'base', checkpointStep: 400, weights: weightsToWire(0.99) },
  },
});

/** @returns the address; the service ends with the test. */
export async function listen(
  t: ExecutionContext,
  service: Parameters<typeof startGrpcServer>[0]['service'],
  serviceName: string,
  implementation: Parameters<typeof startGrpcServer>[0]['implementation'],
  security = securityOf(),
  at = '127.0.0.1:0',
): Promise<string> {
  const server = await startGrpcServer({
    address: at,
    security,
    log: SILENT,
    service,
    serviceName,
    implementation,
    reflection: false,
    report: () => undefined,
    stallTimeoutMs: 60_000,
  });
  server.readiness.set('start', undefined);
  t.teardown(() => server.stop(() => Promise.resolve(), 0));
  return `${at.slice(0, at.lastIndexOf(':'))}:${server.port}`;
}
