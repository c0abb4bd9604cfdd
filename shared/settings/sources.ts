/** Where settings come from: a flag counts before a variable, a variable before a file, and a file before the default. */

import {
  DiffusionError,
  invalidArgument,
  type Environment,
  type FieldViolation,
} from '../foundation/index.js';
import { parseFlags, SERVICE_FLAGS, type Given } from './arguments.js';
import { readConfigFile } from './config-file.js';
import { allSettings, flagName, type ServiceSettings } from './service-settings.js';

export interface Sources {
  readonly given: Given;
  /** The environment with all that flags and the file say, for whoever reads settings. */
  readonly environment: Environment;
  /** What is wrong about the arguments and the file themselves. */
  readonly violations: readonly FieldViolation[];
  /** What the person used for a variable: a flag, the variable itself, or a place in the file. */
  originOf(variable: string): string;
}

/** Never throws: what is wrong is in `violations`. */
export function settingSources(argv: readonly string[], env: Environment, table: ServiceSettings): Sources {
  const settings = allSettings(table);
  const violations: FieldViolation[] = [];
  const given = parseFlags(argv, settings, violations);
  const path = given.configFile ?? (env[SERVICE_FLAGS['--config'].variable] || undefined);
  const ofFile = path === undefined ? new Map<string, never>() : readConfigFile(path, table, violations);
  const environment: Record<string, string | undefined> = { ...env };
  const origins = new Map<string, string>();
  for (const [key, { variable }] of Object.entries(settings)) {
    const flag = given.texts.get(key);
    const inFile = ofFile.get(key);
    if (flag !== undefined) {
      environment[variable] = flag;
      origins.set(variable, flagName(key));
    } else if ((env[variable]?.trim() ?? '') === '' && inFile !== undefined) {
      environment[variable] = inFile.text;
      origins.set(variable, inFile.origin);
    }
  }
  return { given, environment, violations, originOf: (variable) => origins.get(variable) ?? variable };
}

/**
 * What `read` makes of the sources.
 *
 * @throws DiffusionError INVALID_ARGUMENT (reason SETTINGS_INVALID) naming everything that is wrong by what the person
 * used: a flag, a variable or a place in the file.
 */
export function readSources<T>(sources: Sources, read: (environment: Environment) => T): T {
  const problems = [...sources.violations];
  try {
    const settings = read(sources.environment);
    if (problems.length === 0) return settings;
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.violations.length === 0) throw error;
    for (const { field, description } of error.violations)
      problems.push({ field: sources.originOf(field), description });
  }
  throw invalidArgument(problems, 'SETTINGS_INVALID');
}
