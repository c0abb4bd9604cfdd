/** The flags of `serve`: the settings of the services, from their own tables. */

import type { FieldViolation, Setting, Settings } from '../../shared/foundation/index.js';
import type { ServiceName } from '../../shared/rpc/index.js';
import {
  allSettings,
  defaultText,
  flagName,
  isOpen,
  parseFlags,
  SERVICE_FLAGS,
  settingSources,
  type ServiceSettings,
} from '../../shared/settings/index.js';
import { SAMPLER_SETTINGS } from '../sampler/settings.js';
import { TRAINER_SETTINGS } from '../trainer/settings.js';
import type { Environment } from './config.js';
import { flag, option, text, type Option, type Options } from './options.js';
import { UsageError } from './parse-arguments.js';

export const TABLES: Readonly<Record<ServiceName, ServiceSettings>> = {
  trainer: TRAINER_SETTINGS,
  sampler: SAMPLER_SETTINGS,
};

export const SERVICE_NOTES = [
  `A flag counts before a variable, a variable before a file, and a file before the default. docs/configuration.md describes every setting, and how a file is written.`,
  'The services listen on the loopback interface unless an address says otherwise. To listen on a network, a service needs\n--tls-cert, --tls-key, and --identities or --oidc-issuer, or --insecure.',
];

/** What services take: the settings that mean the same for all of them. */
export function settingsOf(services: readonly ServiceName[]): Settings {
  const tables = services.map((name) => allSettings(TABLES[name]));
  const entries = tables.flatMap((table) =>
    Object.entries(table).filter(([key, { variable }]) =>
      tables.every((other) => other[key] === undefined || other[key].variable === variable),
    ),
  );
  return Object.fromEntries(entries);
}

/** The flags of services for a command's help. */
export function optionsOf(services: readonly ServiceName[]): Options {
  const rows = Object.entries(settingsOf(services)).filter(([, setting]) => isOpen(setting));
  const { '--config': config, '--check-config': check } = SERVICE_FLAGS;
  return {
    ...Object.fromEntries(rows.map(([key, setting]) => [key, optionOf(setting)])),
    config: option(text(config.placeholder), config.help, { environment: config.variable }),
    checkConfig: flag(check.help),
  };
}

function optionOf(setting: Setting<unknown>): Option<unknown> {
  const { flag: form, kind, help, variable } = setting;
  const isSwitch = form === 'switch';
  return {
    kind: isSwitch ? undefined : kind,
    help,
    fallback: isSwitch ? false : defaultText(setting),
    environment: variable,
    repeats: form === 'list',
  };
}

export interface ServiceArguments {
  /** Of each service that is started. */
  readonly flags: Readonly<Partial<Record<ServiceName, readonly string[]>>>;
  readonly checkConfig: boolean;
}

/**
 * The words of a command as flags for each service. @throws UsageError for the first that is none. Values are checked by
 * the services.
 */
export function serviceArguments(
  services: readonly ServiceName[],
  argv: readonly string[],
  usage: string,
  environment: Environment,
): ServiceArguments {
  const settings = settingsOf(services);
  const violations: FieldViolation[] = [];
  const own = argv.filter((word) => word !== '--debug');
  const { texts, configFile, checkConfig, json } = parseFlags(own, settings, violations);
  const [first] = violations;
  if (first !== undefined) throw new UsageError(`${first.field} ${first.description}`, usage);
  const others = [
    ...(configFile === undefined ? [] : [`--config=${configFile}`]),
    ...(checkConfig ? ['--check-config', ...(json ? ['--json'] : [])] : []),
  ];
  const flagsOf = (name: ServiceName): string[] => {
    const table = allSettings(TABLES[name]);
    const given = [...texts].filter(([key]) => table[key] !== undefined);
    return [
      ...given.map(([key, value]) =>
        table[key]?.flag === 'switch' ? flagName(key) : `${flagName(key)}=${value}`,
      ),
      ...others,
    ];
  };
  const flags = Object.fromEntries(services.map((name) => [name, flagsOf(name)]));
  return { flags: services.length === 1 ? flags : besides(flags, environment), checkConfig };
}

/** Of two services whose metrics would be at one address, those of the sampler have the next port. */
function besides(
  flags: Readonly<Partial<Record<ServiceName, readonly string[]>>>,
  environment: Environment,
): ServiceArguments['flags'] {
  const metrics = (name: ServiceName): string | undefined => {
    const sources = settingSources(flags[name] ?? [], environment, TABLES[name]);
    return sources.environment[TABLES[name].shared['metricsAddress']?.variable ?? ''];
  };
  const [first, second] = [metrics('trainer'), metrics('sampler')];
  const [, host = '', port = '0'] = /^(.*):(\d+)$/.exec(first ?? '') ?? [];
  if (first !== second || port === '0') return flags;
  const others = (flags.sampler ?? []).filter((word) => !word.startsWith('--metrics-address='));
  return { ...flags, sampler: [...others, `--metrics-address=${host}:${Number(port) + 1}`] };
}
