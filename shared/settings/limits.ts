/** The settings of a service that are numbers, with what holds. */

import type { EnvironmentReader } from '../foundation/index.js';
import { defaultText } from './help-rows.js';
import { allSettings, fileKey, isOpen, type ServiceSettings } from './service-settings.js';

export interface LimitInForce {
  /** As in a file. */
  readonly name: string;
  /** Undefined where none is set and there is no fixed default. */
  readonly value: number | undefined;
  readonly unit: string | undefined;
  /** What holds without a value, in words. */
  readonly rule: string | undefined;
}

export function limitsInForce(table: ServiceSettings, { peek }: EnvironmentReader): LimitInForce[] {
  return Object.entries(allSettings(table))
    .filter(([, setting]) => isOpen(setting) && setting.kind.isInteger === true)
    .map(([key, setting]) => {
      const value = peek(setting);
      const row = { name: fileKey(key), unit: setting.unit };
      return typeof value === 'number'
        ? { ...row, value, rule: undefined }
        : { ...row, value: undefined, rule: defaultText(setting) ?? 'no limit' };
    });
}
