/** The arguments of a service: flags for its settings, and what it does instead of serving. */

import { parseArgs } from 'node:util';

import { describeValue, nearest, type FieldViolation, type Settings } from '../foundation/index.js';
import { flagName, isOpen } from './service-settings.js';

export interface Given {
  /** Settings by their names in code, as texts. */
  readonly texts: ReadonlyMap<string, string>;
  readonly configFile: string | undefined;
  readonly checkConfig: boolean;
  readonly json: boolean;
  readonly help: boolean;
}

/** What a service takes beside its settings. */
export const SERVICE_FLAGS = {
  '--config': {
    placeholder: 'FILE',
    help: 'a file with settings, in YAML or JSON',
    variable: 'IP_DIFFUSION_CONFIG',
  },
  '--check-config': { help: 'check the settings, files and store, and exit: 0 where all is right, else 1' },
  '--json': { help: 'print the result of --check-config as JSON' },
  '--help': { help: 'show this help' },
} as const;

/** @param violations Takes each argument that is not understood, by the flag. */
export function parseFlags(argv: readonly string[], settings: Settings, violations: FieldViolation[]): Given {
  const keys = new Map(
    Object.entries(settings)
      .filter(([, setting]) => isOpen(setting))
      .map(([key]) => [flagName(key), key]),
  );
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    options: Object.fromEntries(
      [...keys.keys(), ...Object.keys(SERVICE_FLAGS)].map((flag) => [
        flag.slice(2),
        { type: takesValue(flag, settings[keys.get(flag) ?? '']?.flag) ? 'string' : 'boolean' },
      ]),
    ),
  });
  const texts = new Map<string, string>();
  const others = new Map<string, string>();
  const refuse = (field: string, description: string): void => {
    violations.push({ field, description });
  };
  for (const token of tokens) {
    if (token.kind === 'positional') refuse(describeValue(token.value), 'is no flag');
    if (token.kind !== 'option') continue;
    const { rawName: flag, value } = token;
    const key = keys.get(flag);
    const form = settings[key ?? '']?.flag;
    const isKnown = key !== undefined || Object.hasOwn(SERVICE_FLAGS, flag);
    if (!isKnown) refuse(flag, unknown(flag, [...keys.keys(), ...Object.keys(SERVICE_FLAGS)]));
    else if (!takesValue(flag, form)) {
      if (value === undefined) (key === undefined ? others : texts).set(key ?? flag, 'on');
      else refuse(flag, 'takes no value');
    } else if (value === undefined || value === '' || (!token.inlineValue && value.startsWith('--'))) {
      refuse(flag, `wanted ${settings[key ?? '']?.kind.wanted ?? 'a file'}; got nothing`);
    } else if (key === undefined) others.set(flag, value);
    else {
      const before = texts.get(key);
      texts.set(key, form === 'list' && before !== undefined ? `${before},${value}` : value);
    }
  }
  return {
    texts,
    configFile: others.get('--config'),
    checkConfig: others.has('--check-config'),
    json: others.has('--json'),
    help: others.has('--help'),
  };
}

function takesValue(flag: string, form: string | undefined): boolean {
  return form === undefined ? flag === '--config' : form !== 'switch';
}

function unknown(name: string, known: readonly string[]): string {
  const meant = nearest(name, known);
  return `is unknown${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}
