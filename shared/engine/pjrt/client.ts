/** Devices of a plugin: compiles programs for them, keeps arrays in their memory, and runs the programs over these. */
import { DiffusionError } from '../../foundation/index.js';
import type { DeviceSpec, HostArray } from './arrays.js';
import { upload } from './buffers.js';
import type { DeviceBuffer, Holder } from './buffers.js';
import { textAt, words } from './plugin.js';
import type { Plugin } from './plugin.js';
import { compileProgram, loadProgram } from './program.js';
import type { Program, ProgramText } from './program.js';
import { namedValues } from './structs.js';
import type { ClientOptions } from './structs.js';

export interface Client {
  readonly plugin: Plugin;
  /** XLA's name of the platform: cpu, cuda, rocm, tpu. */
  readonly platform: string;
  readonly platformVersion: string;
  /** The first device's kind, such as "NVIDIA H100 80GB HBM3". */
  readonly deviceKind: string;
  /** The devices in use, by the plugin's numbers: what programs are compiled for and run on. */
  readonly devices: readonly number[];
  /** @param options For as many devices as are in use. @throws as `Program.run`. */
  compile(program: ProgramText, options: Uint8Array): Promise<Program>;
  deserialize(program: ProgramText, bytes: Uint8Array): Promise<Program>;
  /** To every device. */
  upload(array: HostArray, spec: DeviceSpec): Promise<DeviceBuffer>;
  /** Buffers and programs that aren't destroyed yet. */
  live(): number;
  /** Of the first device's memory; undefined where the plugin doesn't say. */
  memory(): DeviceMemory | undefined;
  /** Ends the devices; buffers and programs must be destroyed before. */
  close(): void;
}

export interface DeviceMemory {
  readonly bytesInUse: number;
  /** The most so far; undefined where the plugin doesn't count it. */
  readonly peakBytes: number | undefined;
}

/** How many devices: all that are there, or the first so many. */
export type DeviceCount = number | 'all';

/**
 * Starts a plugin's devices.
 * @param wanted How many of them are used; default: the first alone.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) where there are fewer, or they can't be started.
 */
export async function createClient(
  plugin: Plugin,
  options: ClientOptions = {},
  wanted: DeviceCount = 1,
): Promise<Client> {
  const client = await start(plugin, options);
  const devices = someDevices(plugin, client, wanted);
  const holder: Holder = { plugin, client, devices, living: 0 };
  const platform = plugin.call('Client_PlatformName', { client });
  const version = plugin.call('Client_PlatformVersion', { client });
  const descriptions = devices.map(
    (device) => plugin.call('Device_GetDescription', { device }).device_description,
  );
  return {
    plugin,
    platform: textAt(platform.name, platform.name_size),
    platformVersion: textAt(version.version, version.version_size).trim(),
    deviceKind: kindOf(plugin, descriptions[0] ?? 0n),
    devices: descriptions.map((each) => idOf(plugin, each)),
    compile: (program, compileOptions) => compileProgram(holder, program, compileOptions),
    deserialize: (program, bytes) => loadProgram(holder, program, bytes),
    upload: (array, spec) => upload(holder, array, spec),
    live: () => holder.living,
    memory: () => memoryOf(plugin, devices[0] ?? 0n),
    close: () => {
      plugin.call('Client_Destroy', { client });
    },
  };
}

async function start(plugin: Plugin, options: ClientOptions): Promise<bigint> {
  const named = namedValues(options);
  try {
    const given = { num_options: named.count, ...(named.count > 0 && { create_options: named.words }) };
    const { client } = await plugin.callOffThread('Client_Create', given, named.memory);
    return client;
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause);
    throw new DiffusionError('ENGINE_START', `the device of ${plugin.file} did not start: ${text}`, {
      cause,
      metadata: { remedy: 'ip-diffusion doctor' },
    });
  }
}

function someDevices(plugin: Plugin, client: bigint, wanted: DeviceCount): readonly bigint[] {
  const { devices, num_devices: length } = plugin.call('Client_AddressableDevices', { client });
  const there = [...words(devices, Number(length))];
  const used = wanted === 'all' ? there : there.slice(0, wanted);
  if (used.length > 0 && (wanted === 'all' || used.length === wanted)) return used;
  plugin.call('Client_Destroy', { client });
  const text =
    there.length === 0
      ? `the PJRT plugin ${plugin.file} has no device`
      : `wanted ${wanted} devices; the PJRT plugin ${plugin.file} has ${there.length}`;
  throw new DiffusionError('ENGINE_START', text, {
    metadata: { remedy: 'set IP_DIFFUSION_DEVICES to a number that this machine has, or to all' },
  });
}

function kindOf(plugin: Plugin, description: bigint): string {
  const { kind, kind_size: size } = plugin.call('DeviceDescription_Kind', {
    device_description: description,
  });
  return textAt(kind, size);
}

function idOf(plugin: Plugin, description: bigint): number {
  // A 32-bit number at the start of its word.
  return Number(
    BigInt.asIntN(32, plugin.call('DeviceDescription_Id', { device_description: description }).id),
  );
}

function memoryOf(plugin: Plugin, device: bigint): DeviceMemory | undefined {
  try {
    const stats = plugin.call('Device_MemoryStats', { device });
    // A flag is one byte.
    const hasPeak = (stats.peak_bytes_in_use_is_set & 0xffn) !== 0n;
    return {
      bytesInUse: Number(stats.bytes_in_use),
      peakBytes: hasPeak ? Number(stats.peak_bytes_in_use) : undefined,
    };
  } catch {
    // An optional function, which XLA's CPU client refuses.
    return undefined;
  }
}
