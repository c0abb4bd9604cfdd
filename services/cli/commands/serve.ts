/** `serve`: runs the services. */

import { DiffusionError, onAbort } from '../../../shared/foundation/index.js';
import { DEFAULT_ADDRESSES, type ServiceName } from '../../../shared/rpc/index.js';
import { STORE_NOTES, STORE_PLACEHOLDER } from '../../../shared/store/index.js';
import { command, type Context, type ExitCode, type Group } from '../command.js';
import { SERVICE_VARIABLES, type Environment } from '../config.js';
import { address, option, text } from '../options.js';
import { startService } from '../start-service.js';

const { store: STORE, trainerAddress: TRAINER_ADDRESS, samplerAddress: SAMPLER_ADDRESS } = SERVICE_VARIABLES;

const store = option(text(STORE_PLACEHOLDER), 'where checkpoints are kept', { environment: STORE });

const NOTES = [
  'The services listen on the loopback interface unless an address says otherwise; there is no authentication, so keep\nthem on a private network.',
  ...STORE_NOTES,
];

const trainer = command({
  name: 'trainer',
  summary: 'runs the trainer until Ctrl-C',
  options: {
    address: option(address, 'where it listens', {
      fallback: DEFAULT_ADDRESSES.trainer,
      environment: TRAINER_ADDRESS,
    }),
    store,
  },
  examples: [
    { arguments: '', does: 'on this machine, checkpoints in a local folder' },
    { arguments: '--store s3://models/diffusion', does: 'checkpoints in MinIO' },
  ],
  notes: NOTES,
  run: ({ options }, context) =>
    serveAll(['trainer'], { [TRAINER_ADDRESS]: options.address, ...storeVariable(options.store) }, context),
});

const sampler = command({
  name: 'sampler',
  summary: 'runs the sampler until Ctrl-C',
  options: {
    address: option(address, 'where it listens', {
      fallback: DEFAULT_ADDRESSES.sampler,
      environment: SAMPLER_ADDRESS,
    }),
    store,
  },
  examples: [
    { arguments: '', does: 'on this machine, from the local store' },
    { arguments: '--address 0.0.0.0:50062 --store /srv/models', does: 'for a private network' },
  ],
  notes: NOTES,
  run: ({ options }, context) =>
    serveAll(['sampler'], { [SAMPLER_ADDRESS]: options.address, ...storeVariable(options.store) }, context),
});

const both = command({
  name: 'both',
  summary: 'runs the trainer and the sampler on one store until Ctrl-C',
  options: { store },
  examples: [{ arguments: '', does: 'both, on this machine' }],
  notes: NOTES,
  run: ({ options }, context) => serveAll(['trainer', 'sampler'], storeVariable(options.store), context),
});

export const serve: Group = {
  name: 'serve',
  summary: 'runs the trainer, the sampler, or both',
  commands: [trainer, sampler],
  otherwise: both,
};

function storeVariable(value: string | undefined): Environment {
  return value === undefined ? {} : { [STORE]: value };
}

/** @throws DiffusionError where a service ends by itself. */
async function serveAll(
  names: readonly ServiceName[],
  variables: Environment,
  { settings, signal }: Context,
): Promise<ExitCode> {
  const services = names.map((name) => startService(name, { ...settings.environment, ...variables }));
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
