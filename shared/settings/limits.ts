/** The settings of a service that are numbers, with the values that hold. */

import type { EnvironmentReader } from '../foundation/index.js';
import { allSettings, fileKey, type ServiceSettings } from './service-settings.js';

export interface LimitInForce {
  /** As in a file. */
  readonly name: string;
  readonly value: number;
  readonly unit: string | undefined;
}

/** A number that is not given and has no fixed default is left out. */
export function limitsInForce(table: ServiceSettings, { peek }: EnvironmentReader): LimitInForce[] {
  return Object.entries(allSettings(table)).flatMap(([key, setting]) => {
    const number = peek(setting);
    return typeof number === 'number' ? [{ name: fileKey(key), value: number, unit: setting.unit }] : [];
  });
}
