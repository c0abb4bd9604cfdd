/** `health`: whether a service lives, or is ready. */

import { DEFAULT_ADDRESSES, fromServiceError, type ServiceName } from '../../../shared/rpc/index.js';
import { askHealth } from '../ask-health.js';
import { command } from '../command.js';
import { SAMPLER_VARIABLE, TRAINER_VARIABLE } from '../config.js';
import { securityOptions } from '../connect.js';
import { address, flag, oneOf, option } from '../options.js';
import { UsageError } from '../parse-arguments.js';

const NAMES = ['trainer', 'sampler'] as const satisfies readonly ServiceName[];
const VARIABLES: Readonly<Record<ServiceName, string>> = {
  trainer: TRAINER_VARIABLE,
  sampler: SAMPLER_VARIABLE,
};

export const health = command({
  name: 'health',
  summary: 'asks services whether they are ready, or live',
  options: {
    service: option(oneOf(NAMES), 'the service to ask; both when not given'),
    address: option(
      address,
      `where it is, with --service; else ${TRAINER_VARIABLE} and ${SAMPLER_VARIABLE}, or the default addresses`,
    ),
    ready: flag(
      'whether it takes calls: its store answers, its engine starts, it does not stop (the default)',
    ),
    live: flag('whether its process answers, whatever its store and engine do'),
    ...securityOptions,
  },
  examples: [
    { arguments: '--service sampler --live', does: 'for the liveness check of a container' },
    { arguments: '--service sampler --ready', does: 'for its readiness check' },
  ],
  notes: ['Exit code 0 where every service that was asked is SERVING, else 1.'],
  run: async (
    { options: { service, address: named, ready, live, ...security } },
    { terminal, settings, clock, signal },
  ) => {
    if (ready && live) throw new UsageError('--ready and --live exclude each other', 'ip-diffusion health');
    if (named !== undefined && service === undefined)
      throw new UsageError('--address needs --service', 'ip-diffusion health');
    const kind = live ? 'live' : 'ready';
    let allServe = true;
    for (const name of service === undefined ? NAMES : [service]) {
      const at = named ?? (settings.environment[VARIABLES[name]] || DEFAULT_ADDRESSES[name]);
      const status = await askHealth(name, { address: at, kind, security, clock, signal }).catch(
        (error: unknown) => {
          signal.throwIfAborted();
          return fromServiceError(error).code;
        },
      );
      allServe &&= status === 'SERVING';
      terminal.emit({ service: name, address: at, kind, status });
      terminal.print(`${name} at ${at}: ${status}`);
    }
    return allServe ? 0 : 1;
  },
});
