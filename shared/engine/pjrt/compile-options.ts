/** XLA's CompileOptionsProto, as much of it as is used. Source: openxla/xla xla/pjrt/proto/compile_options.proto. */

/** A flag of XLA's (DebugOptions) for one compilation, such as `xla_gpu_autotune_level`. */
export type CompileFlags = Readonly<Record<string, boolean | number | string>>;

const EXECUTABLE_BUILD_OPTIONS = 3;
const [NUM_REPLICAS, NUM_PARTITIONS, USE_SPMD_PARTITIONING, DEVICE_ASSIGNMENT] = [4, 5, 6, 9];
const USE_SHARDY_PARTITIONER = 19;
const [REPLICA_COUNT, COMPUTATION_COUNT, COMPUTATION_DEVICES] = [1, 2, 3];
const REPLICA_DEVICE_IDS = 1;
const ENV_OPTION_OVERRIDES = 7;
const [KEY, VALUE] = [1, 2];
const [STRING_VALUE, BOOL_VALUE, INT_VALUE] = [1, 2, 3];

/**
 * One replica, divided over devices. Without these numbers the plugin ends the process.
 * @param devices The plugin's numbers of the devices; default: the one that the plugin chooses.
 */
export function compileOptions(flags: CompileFlags = {}, devices: readonly number[] = []): Uint8Array {
  const build = [
    ...[integerField(NUM_REPLICAS, 1), integerField(NUM_PARTITIONS, Math.max(devices.length, 1))],
    ...(devices.length > 1
      ? [
          integerField(USE_SPMD_PARTITIONING, 1),
          message(DEVICE_ASSIGNMENT, assignment(devices)),
          integerField(USE_SHARDY_PARTITIONER, 1),
        ]
      : []),
  ];
  const overrides = Object.entries(flags).map(([name, value]) =>
    message(ENV_OPTION_OVERRIDES, [message(KEY, [Buffer.from(name)]), message(VALUE, [flagValue(value)])]),
  );
  return Uint8Array.from(Buffer.concat([message(EXECUTABLE_BUILD_OPTIONS, build), ...overrides]));
}

/** DeviceAssignmentProto: which device each part runs on. */
function assignment(devices: readonly number[]): Buffer[] {
  const parts = devices.map((device) =>
    // Packed, as proto3 has it.
    message(COMPUTATION_DEVICES, [message(REPLICA_DEVICE_IDS, [varint(device)])]),
  );
  return [integerField(REPLICA_COUNT, 1), integerField(COMPUTATION_COUNT, devices.length), ...parts];
}

function flagValue(value: boolean | number | string): Buffer {
  if (typeof value === 'string') return message(STRING_VALUE, [Buffer.from(value)]);
  return typeof value === 'boolean'
    ? integerField(BOOL_VALUE, value ? 1 : 0)
    : integerField(INT_VALUE, value);
}

function message(field: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([varint(8 * field + 2), varint(body.length), body]);
}

function integerField(field: number, value: number): Buffer {
  return Buffer.concat([varint(8 * field), varint(value)]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}
