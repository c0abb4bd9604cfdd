/** Which device engine processes compute on. */
import { resolve } from 'node:path';

import { cacheFolder, count, downloadsFolder, environmentReader } from './environment.js';
import type { Environment } from './environment.js';
import { integer } from './kinds.js';
import type { Parser } from './kinds.js';
import { onOff, setting } from './setting.js';

/**
 * `cpu` is TensorFlow with the engine's own kernels; set-up provides the plugins of the others. `auto` is the first of those
 * others that is ready on this machine, else `cpu`.
 */
const DEVICES = ['auto', 'cpu', 'cpu-pjrt', 'cuda', 'rocm', 'tpu'];

const deviceKind: Parser<string> = {
  placeholder: 'DEVICE',
  wanted: `${DEVICES.join(', ')}, or the path of a PJRT plugin`,
  read: (text) => {
    if (DEVICES.includes(text)) return text;
    return text.includes('/') ? resolve(text) : undefined;
  },
};

const MOST_DEVICES = 64;
const some = integer(1, MOST_DEVICES);

const deviceCount: Parser<number | 'all'> = {
  placeholder: 'N',
  wanted: `${some.wanted}, or all`,
  read: (text) => (text === 'all' ? text : some.read(text)),
};

/** The device, and how it is used. */
export const DEVICE_SETTINGS = {
  device: setting(
    'IP_DIFFUSION_DEVICE',
    deviceKind,
    `what engines compute on: ${deviceKind.wanted}; auto is the first card for which set-up has provided the plugin, else the processor`,
    { fallback: 'auto' },
  ),
  devices: setting(
    'IP_DIFFUSION_DEVICES',
    deviceCount,
    "how many of the machine's devices of that kind share the rows of each batch",
    { fallback: 1 },
  ),
  deviceMemoryPercent: setting(
    'IP_DIFFUSION_DEVICE_MEMORY_PERCENT',
    count(1, 100),
    "how much of the device's memory one process may take",
    { otherwise: 'what the plugin takes by itself', unit: '%' },
  ),
  tf32: setting(
    'IP_DIFFUSION_TF32',
    onOff,
    'whether products of float32 may be of TF32, on devices that have it',
    { fallback: false },
  ),
} as const;

export interface DeviceSettings {
  /** The name of a device, `auto`, or a plugin's absolute path. */
  readonly device: string;
  /** How many of the machine's devices of that kind share the rows of each batch: the first so many, or all. */
  readonly devices: number | 'all';
  /** How much of the device's memory one process may take; undefined for what the plugin takes by itself. */
  readonly memoryPercent: number | undefined;
  /** Whether products of float32 may be of TF32, on devices that have it. */
  readonly tf32: boolean;
  /** Where set-up puts plugins. */
  readonly downloadsFolder: string;
  /** Where compiled programs are kept. */
  readonly cacheFolder: string;
}

/** @param env Default: that of this process. @throws DiffusionError INVALID_ARGUMENT (SETTINGS_INVALID) naming each variable that is wrong. */
export function deviceSettings(env: Environment = process.env): DeviceSettings {
  const { value, refuse, check } = environmentReader(env);
  const settings = {
    device: value(DEVICE_SETTINGS.device),
    devices: value(DEVICE_SETTINGS.devices),
    memoryPercent: value(DEVICE_SETTINGS.deviceMemoryPercent),
    tf32: value(DEVICE_SETTINGS.tf32),
    ...{ downloadsFolder: downloadsFolder(env), cacheFolder: cacheFolder(env) },
  };
  const { device, devices } = settings;
  if (device === 'cpu' && devices !== 1) {
    refuse(
      DEVICE_SETTINGS.devices,
      `1 with ${DEVICE_SETTINGS.device.variable}=cpu, which uses every processor`,
      devices,
    );
  }
  check();
  return settings;
}
