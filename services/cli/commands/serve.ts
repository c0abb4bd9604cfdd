/** `serve`: runs the services. */

import { DiffusionError, onAbort } from '../../../shared/foundation/index.js';
import type { ServiceName } from '../../../shared/rpc/index.js';
import { STORE_NOTES } from '../../../shared/store/index.js';
import {
  COMMON_OPTIONS,
  type Context,
  type Example,
  type ExitCode,
  type Group,
  type Leaf,
} from '../command.js';
import { optionsOf, SERVICE_NOTES, serviceArguments, type ServiceArguments } from '../serve-options.js';
import { startService } from '../start-service.js';

/** A command whose flags the services read themselves, so that their errors name what the person used. */
function serving(
  name: string,
  summary: string,
  services: readonly ServiceName[],
  examples: readonly Example[],
): Leaf {
  return {
    ...{ name, summary, examples },
    positionals: [],
    options: { ...optionsOf(services), ...COMMON_OPTIONS },
    notes: [...SERVICE_NOTES, ...STORE_NOTES],
    run: (argv, usage, context) =>
      serveAll(serviceArguments(services, argv, usage, context.settings.environment), context),
  };
}

export const serve: Group = {
  name: 'serve',
  summary: 'runs the trainer, the sampler, or both',
  commands: [
    serving(
      'trainer',
      'runs the trainer until Ctrl-C',
      ['trainer'],
      [
        { arguments: '', does: 'on this machine, checkpoints in a local folder' },
        { arguments: '--store s3://models/diffusion', does: 'checkpoints in a bucket' },
        { arguments: '--config trainer.yaml --check-config', does: 'whether it could serve with a file' },
      ],
    ),
    serving(
      'sampler',
      'runs the sampler until Ctrl-C',
      ['sampler'],
      [
        { arguments: '', does: 'on this machine, from the local store' },
        {
          arguments:
            '--address 0.0.0.0:50062 --store /srv/models --tls-cert tls.crt --tls-key tls.key --identities identities.json',
          does: 'for a network',
        },
      ],
    ),
  ],
  otherwise: serving(
    'both',
    'runs the trainer and the sampler on one store until Ctrl-C',
    ['trainer', 'sampler'],
    [{ arguments: '', does: 'both, on this machine' }],
  ),
};

/** @throws DiffusionError where a service ends by itself. */
async function serveAll(
  { flags, checkConfig }: ServiceArguments,
  { settings, signal }: Context,
): Promise<ExitCode> {
  const services = Object.entries(flags).map(([name, argv]) =>
    startService(name as ServiceName, settings.environment, undefined, argv),
  );
  const stopAll = (): void => {
    for (const service of services) service.stop();
  };
  const stopListening = onAbort(signal, stopAll);
  const all = Promise.all(services.map(({ exited }) => exited));
  if (checkConfig) {
    const exits = await all;
    stopListening();
    return exits.every(({ code }) => code === 0) ? 0 : 1;
  }
  const first = await Promise.race(services.map(async ({ name, exited }) => ({ name, ...(await exited) })));
  stopAll();
  await all;
  stopListening();
  if (signal.aborted) return 0;
  throw new DiffusionError('SERVICE_ENDED', `the ${first.name} ended (${first.description})`);
}
