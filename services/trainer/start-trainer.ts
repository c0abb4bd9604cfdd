/** Puts the trainer service together and starts it. */

import {
  startGrpcServer,
  trainerWire,
  type RunningService,
  type ServiceLog,
} from '../../shared/contract/index.js';
import { systemClock } from '../../shared/foundation/index.js';
import { checkStore, storeFromSettings } from '../../shared/store/index.js';
import type { TrainerSettings } from './config.js';
import { engineStarter } from './engine.js';
import { trainerHandlers } from './handlers.js';
import { jobRequests } from './job-requests.js';
import { JobSupervisor, unavailable } from './job-supervisor.js';

/**
 * Takes up the jobs that an earlier trainer of the same id left, listens, and says SERVING.
 *
 * @throws DiffusionError for a store that can't be used or an address that can't be listened on.
 */
export async function startTrainer(settings: TrainerSettings, logger: ServiceLog): Promise<RunningService> {
  const clock = systemClock;
  const { owner, datasetCacheFolder, memoryBytes, stallTimeoutMs } = settings;
  const store = await storeFromSettings(settings.store);
  await checkStore(store, 'write');
  const supervisor = new JobSupervisor({
    ...settings,
    store,
    storeSettings: settings.store,
    cacheFolder: datasetCacheFolder,
    clock,
    logger,
    startEngine: engineStarter({
      environment: settings.engineEnvironment,
      silenceTimeoutMs: settings.engineSilenceTimeoutMs,
      clock,
    }),
  });
  let phase: 'starting' | 'serving' | 'stopping' = 'starting';
  const calls = {
    stallTimeoutMs,
    report: (error: unknown, id: string) => {
      logger.error({ err: error, id }, 'internal error');
    },
  };
  const server = await startGrpcServer({
    address: settings.address,
    service: trainerWire.TrainerServiceService,
    serviceName: 'diffusion.trainer.v1.TrainerService',
    implementation: trainerHandlers({
      requests: jobRequests({ store, supervisor, clock, owner, memoryBytes }),
      datasetCacheFolder,
      checkServing: () => {
        if (phase !== 'serving') throw unavailable(phase);
      },
      ...calls,
    }),
    ...calls,
    reflection: settings.reflection,
  });
  // Only now: a trainer that can't listen must not take jobs up.
  await supervisor.recover();
  phase = 'serving';
  server.setServing(true);
  return {
    port: server.port,
    stop: async () => {
      phase = 'stopping';
      await server.stop(() => supervisor.stop(), settings.graceMs);
      await store.close();
    },
  };
}
