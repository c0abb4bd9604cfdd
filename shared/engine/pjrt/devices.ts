/** The devices that set-up can provide a plugin for, and where it puts them. This file imports nothing of ours. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
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
  /** The oldest release of NVIDIA's driver that it works with. */
  readonly leastDriver?: number;
  /** A file that is there where the machine has such a device; without one, the device is used only where it is named. */
  readonly sign?: string;
  /** Whether nobody has run it with this project. */
  readonly untried: boolean;
}

const NVIDIA = ['nvidia/'] as const;

/** NVIDIA's plugin and what it compiles with: enough to compile for a card that isn't there. */
const CUDA_COMPILER = [
  {
    ...{ package: 'jax-cuda13-pjrt', version: '0.11.2', megabytes: 134 },
    wheel: 'jax_cuda13_pjrt-0.11.2-py3-none-manylinux_2_27_x86_64.whl',
    sha256: 'e5ff589d43064913bb74027682d89639c7ea48f9f81c2bae6fc75117e913f93e',
    members: ['jax_plugins/'],
  },
  {
    ...{ package: 'nvidia-cuda-nvcc', version: '13.0.88', megabytes: 37 },
    wheel: 'nvidia_cuda_nvcc-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    sha256: '56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03',
    members: NVIDIA,
  },
  {
    ...{ package: 'nvidia-nvvm', version: '13.0.88', megabytes: 62 },
    wheel: 'nvidia_nvvm-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    sha256: 'c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0',
    members: NVIDIA,
  },
] as const;

/** What it runs with besides. */
const CUDA_LIBRARIES = [
  {
    ...{ package: 'nvidia-cublas', version: '13.0.2.14', megabytes: 444 },
    wheel: 'nvidia_cublas-13.0.2.14-py3-none-manylinux_2_27_x86_64.whl',
    sha256: '0cf238ffdbe46c00cb9aa98e7bca745c223a5ca5a53e686ac8b3e5a08fe80d6c',
    members: NVIDIA,
  },
  {
    ...{ package: 'nvidia-cudnn-cu13', version: '9.28.1.4', megabytes: 517 },
    wheel: 'nvidia_cudnn_cu13-9.28.1.4-py3-none-manylinux_2_27_x86_64.whl',
    sha256: 'a54f205b1db1f2895d99f398754db1369816f0569dd459731f925635cf7b65ec',
    members: NVIDIA,
  },
  {
    ...{ package: 'nvidia-cuda-runtime', version: '13.0.96', megabytes: 3 },
    wheel: 'nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    sha256: '7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548',
    members: NVIDIA,
  },
  {
    ...{ package: 'nvidia-cuda-nvrtc', version: '13.0.88', megabytes: 58 },
    wheel: 'nvidia_cuda_nvrtc-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    sha256: 'ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575',
    members: NVIDIA,
  },
  {
    ...{ package: 'nvidia-cuda-cupti', version: '13.0.85', megabytes: 11 },
    wheel: 'nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl',
    sha256: '4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8',
    members: NVIDIA,
  },
  {
    ...{ package: 'nvidia-nvjitlink', version: '13.0.88', megabytes: 41 },
    wheel: 'nvidia_nvjitlink-13.0.88-py3-none-manylinux2010_x86_64.manylinux_2_12_x86_64.whl',
    sha256: '13a74f429e23b921c1109976abefacc69835f2f433ebd323d3946e11d804e47b',
    members: NVIDIA,
  },
  {
    ...{ package: 'nvidia-cusparse', version: '12.6.3.3', megabytes: 162 },
    wheel: 'nvidia_cusparse-12.6.3.3-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    sha256: '2b3c89c88d01ee0e477cb7f82ef60a11a4bcd57b6b87c33f789350b59759360b',
    members: NVIDIA,
  },
  {
    ...{ package: 'nvidia-cusolver', version: '12.0.9.81', megabytes: 200 },
    wheel: 'nvidia_cusolver-12.0.9.81-py3-none-manylinux_2_27_x86_64.whl',
    sha256: '5d28371e1301d1edfb15b8b1201e24cd680bc72de7f384cc162c7edbd8c5348c',
    members: NVIDIA,
  },
  {
    ...{ package: 'nvidia-cufft', version: '12.0.0.61', megabytes: 214 },
    wheel: 'nvidia_cufft-12.0.0.61-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl',
    sha256: '6c44f692dce8fd5ffd3e3df134b6cdb9c2f72d99cf40b62c32dde45eea9ddad3',
    members: NVIDIA,
  },
  {
    ...{ package: 'nvidia-nccl-cu13', version: '2.32.3', megabytes: 194 },
    wheel: 'nvidia_nccl_cu13-2.32.3-py3-none-manylinux_2_27_x86_64.whl',
    sha256: '1459723080ac889d73a26edfa3e04383a7928ab31ac8f0ec43b3ea9548b04ff3',
    members: NVIDIA,
  },
] as const;

/** It finds NVIDIA's libraries by the path from here. */
const CUDA_PLUGIN = 'jax_plugins/xla_cuda13/xla_cuda_plugin.so';

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
    untried: false,
  },
  /** NVIDIA's cards, by CUDA 13 (driver 580 or newer). */
  cuda: {
    wheels: [...CUDA_COMPILER, ...CUDA_LIBRARIES],
    ...{ plugin: CUDA_PLUGIN, leastDriver: 580, sign: '/dev/nvidiactl', untried: true },
  },
  /** AMD's cards, by the machine's own ROCm 7. */
  rocm: {
    wheels: [
      {
        ...{ package: 'jax-rocm7-pjrt', version: '0.11.2', megabytes: 140 },
        wheel: 'jax_rocm7_pjrt-0.11.2-py3-none-manylinux_2_27_x86_64.whl',
        sha256: 'f673c6b3ffec3001e259c766ab85415926cfe12f548429f0a41c410b62b0937b',
        members: ['jax_plugins/xla_rocm7/xla_rocm_plugin.so'],
      },
    ],
    ...{ plugin: 'jax_plugins/xla_rocm7/xla_rocm_plugin.so', sign: '/dev/kfd', untried: true },
  },
  /** Google's TPUs. */
  tpu: {
    wheels: [
      {
        ...{ package: 'libtpu', version: '0.0.52', megabytes: 137 },
        wheel: 'libtpu-0.0.52-cp311-cp311-manylinux_2_31_x86_64.whl',
        sha256: 'f5e2e596eaea9357fbb5a6755a7a9007c6ab75bfde4a55191b03eff402971140',
        members: ['libtpu/libtpu.so'],
      },
    ],
    ...{ plugin: 'libtpu/libtpu.so', sign: '/dev/accel0', untried: true },
  },
  'cuda-compiler': { wheels: CUDA_COMPILER, plugin: CUDA_PLUGIN, untried: true },
} as const satisfies Readonly<Record<string, Device>>;

export type DeviceName = keyof typeof DEVICES;

export function isDeviceName(name: string): name is DeviceName {
  return Object.hasOwn(DEVICES, name);
}

/** The folder, of the set-up's downloads, that a device's wheels are unpacked into; it has another name for other wheels. */
export function deviceFolder(name: DeviceName): string {
  return folderOf(name, DEVICES[name].wheels);
}

function folderOf(name: string, wheels: readonly DeviceWheel[]): string {
  const hashes = createHash('sha256').update(wheels.map(({ sha256 }) => sha256).join());
  return `pjrt/${name}-${hashes.digest('hex').slice(0, 12)}`;
}

/** The plugin's file of a device that set-up provides, or the path itself. */
export function pluginFile(device: string, downloadsFolder: string): string | undefined {
  if (isDeviceName(device)) return join(downloadsFolder, deviceFolder(device), DEVICES[device].plugin);
  return isAbsolute(device) ? device : undefined;
}

/**
 * The device that is used where none is named: the first whose plugin set-up has provided and that the machine has, else
 * `cpu`.
 */
export function firstDevice(
  downloadsFolder: string,
  devices: Readonly<Record<string, Device>> = DEVICES,
): string {
  const first = Object.entries(devices).find(
    ([name, { plugin, wheels, sign }]) =>
      sign !== undefined &&
      existsSync(sign) &&
      existsSync(join(downloadsFolder, folderOf(name, wheels), plugin)),
  );
  return first?.[0] ?? 'cpu';
}
