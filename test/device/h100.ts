/** What XLA's compiler wants to know of an NVIDIA H100 (SXM), by NVIDIA's figures: "H100 Tensor Core GPU Architecture". */

/** Types by XLA's numbers, with how many operations a clock each of a core's scalar and matrix units does. */
const SCALAR_RATES = [
  { type: 4, units: 64, operations: 1 },
  { type: 10, units: 128, operations: 2 },
  { type: 11, units: 128, operations: 1 },
  { type: 12, units: 64, operations: 1 },
  { type: 16, units: 128, operations: 2 },
];
const MATRIX_RATES = [
  { type: 10, units: 4, operations: 512 },
  { type: 11, units: 4, operations: 256 },
  { type: 12, units: 4, operations: 32 },
  { type: 16, units: 4, operations: 512 },
];

const rates = (list: typeof SCALAR_RATES, clock: number): string =>
  list
    .map(
      ({ type, units, operations }) =>
        `rate_infos { key: ${type} value { clock_rate_ghz: ${clock} units_per_core: ${units} ops_per_clock: ${operations} } }`,
    )
    .join(' ');

/** A `GpuTargetConfigProto` as text. */
export const H100 = `
platform_name: "CUDA"
device_description_str: "NVIDIA H100 80GB HBM3"
dnn_version_info { major: 9 minor: 12 patch: 0 }
gpu_device_info {
  name: "NVIDIA H100 80GB HBM3" device_vendor: "NVIDIA Corporation"
  platform_version: "Compute Capability 9.0a" device_address_bits: 64
  driver_version: "13.0.0" runtime_version: "13.0.0" compile_time_toolkit_version: "13.0.0" dnn_version: "9.12.0"
  cuda_compute_capability { major: 9 feature_extension: ACCELERATED_FEATURES }
  core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98
  threads_per_warp: 32 threads_per_block_limit: 1024 threads_per_core_limit: 2048
  thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 device_memory_size: 84942979072 ecc_enabled: true
  scalar_unit_description { ${rates(SCALAR_RATES, 1.98)} }
  matrix_unit_description { ${rates(MATRIX_RATES, 1.83)} }
}
`;
