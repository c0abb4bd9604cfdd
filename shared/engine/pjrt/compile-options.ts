/** XLA's CompileOptionsProto, as much of it as is used. Source: openxla/xla xla/pjrt/proto/compile_options.proto. */

/** A flag of XLA's (DebugOptions) for one compilation, such as `xla_gpu_autotune_level`. */
export type CompileFlags = Readonly<Record<string, boolean | number | string>>;

const EXECUTABLE_BUILD_OPTIONS = 3;
const [NUM_REPLICAS, NUM_PARTITIONS] = [4, 5];
const ENV_OPTION_OVERRIDES = 7;
const [KEY, VALUE] = [1, 2];
const [STRING_VALUE, BOOL_VALUE, INT_VALUE] = [1, 2, 3];

/** One replica on one device. Without these numbers the plugin ends the process. */
export function compileOptions(flags: CompileFlags = {}): Uint8Array {
  const build = [integerField(NUM_REPLICAS, 1), integerField(NUM_PARTITIONS, 1)];
  const overrides = Object.entries(flags).map(([name, value]) =>
    message(ENV_OPTION_OVERRIDES, [message(KEY, [Buffer.from(name)]), message(VALUE, [flagValue(value)])]),
  );
  return Uint8Array.from(Buffer.concat([message(EXECUTABLE_BUILD_OPTIONS, build), ...overrides]));
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
