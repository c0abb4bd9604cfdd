/** Compiles for a device that isn't there, by a description of it. */
import type { Plugin } from './plugin.js';
import { serialized } from './program.js';
import type { ProgramText } from './program.js';
import { namedValues, programStruct } from './structs.js';

/**
 * The serialised executable.
 *
 * @param target A `GpuTargetConfigProto` of XLA's as text: what the compiler knows of the device.
 * @throws DiffusionError as `Client.compile`.
 * Source: openxla/xla xla/pjrt/c/pjrt_c_api_gpu_internal.cc, PJRT_GpuDeviceTopology_Create.
 */
export async function compileAhead(
  plugin: Plugin,
  target: string,
  program: ProgramText,
  options: Uint8Array,
): Promise<Uint8Array> {
  const named = namedValues({ topology: '1x1x1', target_config: target });
  const { topology } = await plugin.callOffThread(
    'TopologyDescription_Create',
    { create_options: named.words, num_options: named.count },
    named.memory,
  );
  try {
    const source = programStruct(program.text);
    const { executable } = await plugin.callOffThread(
      'Compile',
      { topology, program: source.words, compile_options: options, compile_options_size: options.length },
      source.memory,
    );
    try {
      return await serialized(plugin, executable);
    } finally {
      plugin.call('Executable_Destroy', { executable });
    }
  } finally {
    plugin.call('TopologyDescription_Destroy', { topology });
  }
}
