/** `serve`: runs the services. */

import { DiffusionError, onAbort } from '../../../shared/foundation/index.js';
import { DEFAULT_ADDRESSES, type ServiceName } from '../../../shared/rpc/index.js';
import { STORE_NOTES } from '../../../shared/store/index.js';
import { command, type Context, type ExitCode, type Group } from '../command.js';
import { SERVICE_VARIABLES, type Environment } from '../config.js';
import { address, option } from '../options.js';
import { besides, dataOptions, SERVICE_NOTES, serviceOptions, serviceVariables } from '../serve-options.js';
import { startService } from '../start-service.js';

const { trainerAddress: TRAINER_ADDRESS, samplerAddress: SAMPLER_ADDRESS } = SERVICE_VARIABLES;

const NOTES = [...SERVICE_NOTES, ...STORE_NOTES];

const trainer = command({
  name: 'trainer',
  summary: 'runs the trainer until Ctrl-C',
  options: {
    address: option(address, 'where it listens', {
      fallback: DEFAULT_ADDRESSES.trainer,
      environment: TRAINER_ADDRESS,
    }),
    ...serviceOptions,
    ...dataOptions,
  },
  examples: [
    { arguments: '', does: 'on this machine, checkpoints in a local folder' },
    { arguments: '--store s3://models/diffusion', does: 'checkpoints in MinIO' },
  ],
  notes: NOTES,
  run: ({ options }, context) =>
    serveAll({ trainer: { [TRAINER_ADDRESS]: options.address, ...serviceVariables(options) } }, context),
});

const sampler = command({
  name: 'sampler',
  summary: 'runs the sampler until Ctrl-C',
  options: {
    address: option(address, 'where it listens', {
      fallback: DEFAULT_ADDRESSES.sampler,
      environment: SAMPLER_ADDRESS,
    }),
    ...serviceOptions,
  },
  examples: [
    { arguments: '', does: 'on this machine, from the local store' },
    {
      arguments:
        '--address 0.0.0.0:50062 --store /srv/models --tls-cert tls.crt --tls-key tls.key --identities identities.json',
      does: 'for a network',
    },
  ],
  notes: NOTES,
  run: ({ options }, context) =>
    serveAll({ sampler: { [SAMPLER_ADDRESS]: options.address, ...serviceVariables(options) } }, context),
});

const both = command({
  name: 'both',
  summary: 'runs the trainer and the sampler on one store until Ctrl-C',
  options: { ...serviceOptions, ...dataOptions },
  examples: [{ arguments: '', does: 'both, on this machine' }],
  notes: NOTES,
  run: ({ options }, context) => {
    const variables = serviceVariables(options);
    return serveAll({ trainer: variables, sampler: besides(variables) }, context);
  },
});

export const serve: Group = {
  name: 'serve',
  summary: 'runs the trainer, the sampler, or both',
  commands: [trainer, sampler],
  otherwise: both,
};

/** @param variables Of each service that is started. @throws DiffusionError where a service ends by itself. */
async function serveAll(
  variables: Readonly<Partial<Record<ServiceName, Environment>>>,
  { settings, signal }: Context,
): Promise<ExitCode> {
  const services = Object.entries(variables).map(([name, own]) =>
    startService(name as ServiceName, { ...settings.environment, ...own }),
  );
  const stopAll = (): void => {
    for (const service of services) service.stop();
  };
  const stopListening = onAbort(signal, stopAll);
  const first = await Promise.race(services.map(async ({ name, exited }) => ({ name, ...(await exited) })));
  stopAll();
  await Promise.all(services.map(({ exited }) => exited));
  stopListening();
  if (signal.aborted) return 0;
  throw new DiffusionError('SERVICE_ENDED', `the ${first.name} ended (${first.description})`);
}
