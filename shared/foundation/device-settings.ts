/** Which device engine processes compute on. */
import { isAbsolute } from 'node:path';

import { cacheFolder, environmentReader } from './environment.js';
import type { Environment } from './environment.js';

/** The variables that say which device, and how it is used. */
export const DEVICE_VARIABLES = {
  device: 'IP_DIFFUSION_DEVICE',
  memoryPercent: 'IP_DIFFUSION_DEVICE_MEMORY_PERCENT',
  tf32: 'IP_DIFFUSION_TF32',
} as const;

/** `cpu` is TensorFlow with the engine's own kernels; set-up provides the plugins of the others. */
const DEVICES = ['cpu', 'cpu-pjrt', 'cuda'];
export const DEVICE_CHOICES = `${DEVICES.join(', ')}, or the absolute path of a PJRT plugin`;

export interface DeviceSettings {
  /** The name of a device, or a plugin's absolute path. */
  readonly device: string;
  /** How much of the device's memory one process may take; undefined for what the plugin takes by itself. */
  readonly memoryPercent: number | undefined;
  /** Whether products of float32 may be of TF32, on devices that have it. */
  readonly tf32: boolean;
  /** Where set-up puts plugins, and compiled programs are kept. */
  readonly cacheFolder: string;
}

/** @throws DiffusionError INVALID_ARGUMENT (SETTINGS_INVALID) naming each variable that is wrong. */
export function deviceSettings(env: Environment): DeviceSettings {
  const reader = environmentReader(env);
  const names = DEVICE_VARIABLES;
  const device = reader.text(names.device, 'cpu');
  if (!DEVICES.includes(device) && !isAbsolute(device)) reader.refuse(names.device, DEVICE_CHOICES, device);
  const percent = reader.percent(names.memoryPercent, 100);
  const isGiven = reader.optional(names.memoryPercent) !== undefined;
  const tf32 = reader.oneOf(['on', 'off'], names.tf32, 'off') === 'on';
  reader.check();
  return { device, memoryPercent: isGiven ? percent : undefined, tf32, cacheFolder: cacheFolder(env) };
}
