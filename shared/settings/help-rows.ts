/** Settings as rows of a help text. */

import type { Setting, Settings } from '../foundation/index.js';
import { SERVICE_FLAGS } from './arguments.js';
import { flagName, isOpen } from './service-settings.js';

export type HelpRow = readonly [flag: string, help: string];

export function settingRows(settings: Settings): HelpRow[] {
  return Object.entries(settings)
    .filter(([, setting]) => isOpen(setting))
    .map(([key, setting]) => {
      const value = setting.flag === 'switch' ? '' : ` ${setting.kind.placeholder}`;
      return [
        flagName(key) + value,
        `${setting.help} (${[...defaults(setting), `or ${setting.variable}`].join('; ')})`,
      ];
    });
}

/** What services take beside their settings. */
export function serviceFlagRows(): HelpRow[] {
  return Object.entries(SERVICE_FLAGS).map(([flag, row]) => [
    'placeholder' in row ? `${flag} ${row.placeholder}` : flag,
    'variable' in row ? `${row.help} (or ${row.variable})` : row.help,
  ]);
}

/** A default as it is written where a setting is given. */
export function fallbackText(fallback: unknown): string {
  if (typeof fallback === 'boolean') return fallback ? 'on' : 'off';
  if (Array.isArray(fallback)) return fallback.join(',');
  return typeof fallback === 'string' ? fallback : JSON.stringify(fallback);
}

/** What holds where a setting is not given, for people; undefined for nothing. */
export function defaultText({ fallback, otherwise, unit }: Setting<unknown>): string | undefined {
  if (otherwise !== undefined) return otherwise.replaceAll('`', '');
  if (fallback === undefined) return undefined;
  const text = fallbackText(fallback);
  return unit === undefined ? text : `${text} ${unit}`;
}

function defaults(setting: Setting<unknown>): string[] {
  const text = defaultText(setting);
  return text === undefined || setting.flag === 'switch' ? [] : [`default ${text}`];
}

const NAME_COLUMN = 30;

/** A titled list with its second column in line; undefined for no rows. */
export function helpSection(title: string, rows: readonly HelpRow[]): string | undefined {
  if (rows.length === 0) return undefined;
  const lines = rows.map(([name, help]) =>
    name.length < NAME_COLUMN
      ? `  ${name.padEnd(NAME_COLUMN)}${help}`
      : `  ${name}\n${' '.repeat(NAME_COLUMN + 2)}${help}`,
  );
  return [`${title}:`, ...lines].join('\n');
}
