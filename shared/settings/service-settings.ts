/** The settings of a service, and what a person calls each of them. */

import { protoName, type Setting, type Settings } from '../foundation/index.js';

export interface ServiceSettings<Name extends string = string> {
  /** The section of a file that holds its own settings. */
  readonly service: Name;
  /** Those that other services of this project have too: they stand at the top of a file, or in a section. */
  readonly shared: Settings;
  readonly own: Settings;
}

export function allSettings({ shared, own }: ServiceSettings): Settings {
  return { ...shared, ...own };
}

/** `--max-images` of `maxImages`. */
export function flagName(key: string): string {
  return `--${protoName(key).replaceAll('_', '-')}`;
}

/** `max_images` of `maxImages`. */
export function fileKey(key: string): string {
  return protoName(key);
}

/** Whether it may be given as a flag or in a file: a secret may not. */
export function isOpen({ flag }: Setting<unknown>): boolean {
  return flag !== 'none';
}
