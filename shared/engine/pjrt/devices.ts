/** The devices that set-up can provide a plugin for, and where it puts them. This file imports nothing of ours. */
import { isAbsolute, join } from 'node:path';

/** A wheel of the Python package index, by its hash. */
export interface DeviceWheel {
  readonly package: string;
  readonly version: string;
  readonly wheel: string;
  readonly sha256: string;
  readonly megabytes: number;
  /** What is unpacked: members whose names begin so. */
  readonly members: readonly string[];
}

export interface Device {
  readonly wheels: readonly DeviceWheel[];
  /** The plugin, from the folder that the wheels are unpacked into. */
  readonly plugin: string;
  /** Libraries that the plugin loads by name, from the same folder; they are loaded before it. */
  readonly libraries: readonly string[];
  /** Whether nobody has run it with this project. */
  readonly untried: boolean;
}

export const DEVICES = {
  /** XLA for this machine's processor: slower than TensorFlow with the engine's own kernels, and there to test with. */
  'cpu-pjrt': {
    wheels: [
      {
        ...{ package: 'lammps-jax-pjrt-cpu', version: '0.11.2', megabytes: 63 },
        wheel: 'lammps_jax_pjrt_cpu-0.11.2-py3-none-manylinux_2_27_x86_64.whl',
        sha256: '1319390d948b39f69f7dade496b7c385149d9ca6097a6b62114da113216d9ad1',
        members: ['lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so'],
      },
    ],
    plugin: 'lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin.so',
    libraries: [],
    untried: false,
  },
} as const satisfies Readonly<Record<string, Device>>;

export type DeviceName = keyof typeof DEVICES;

export function isDeviceName(name: string): name is DeviceName {
  return Object.hasOwn(DEVICES, name);
}

/** The folder in the cache that a device's wheels are unpacked into; it has another name for other wheels. */
export function deviceFolder(name: DeviceName): string {
  const hashes = DEVICES[name].wheels.map(({ sha256 }) => sha256.slice(0, 6)).join('');
  return `pjrt/${name}-${hashes.slice(0, 24)}`;
}

/** The plugin's file of a device that set-up provides, or the path itself. */
export function pluginFile(device: string, cacheFolder: string): string | undefined {
  if (isDeviceName(device)) return join(cacheFolder, deviceFolder(device), DEVICES[device].plugin);
  return isAbsolute(device) ? device : undefined;
}
