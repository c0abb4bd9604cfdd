/**
 * For which processors the kernels are compiled when they are made for other machines than this: a library a level, of
 * which the engine loads the best one that the processor can run.
 */

export interface KernelLevel {
  /** In file names, and as `IP_DIFFUSION_NATIVE_KERNELS` names it. */
  readonly name: string;
  /** The compiler's flags: GCC 11 and Clang 14 know all of them. */
  readonly flags: readonly string[];
  /** What the processor must have, as `/proc/cpuinfo` names it. */
  readonly needs: readonly string[];
}

const V3 = ['avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe'];
const V4 = [...V3, 'avx512f', 'avx512bw', 'avx512cd', 'avx512dq', 'avx512vl'];
const BF16 = [...V4, 'avx512_bf16'];

/** The best level first. Source of the first two: x86-64 psABI, section 3.1.1, micro-architecture levels. */
export const KERNEL_LEVELS: readonly KernelLevel[] = [
  {
    name: 'x86-64-v4-amx',
    flags: ['-march=x86-64-v4', '-mavx512bf16', '-mamx-tile', '-mamx-bf16'],
    needs: [...BF16, 'amx_tile', 'amx_bf16'],
  },
  { name: 'x86-64-v4-bf16', flags: ['-march=x86-64-v4', '-mavx512bf16'], needs: BF16 },
  { name: 'x86-64-v4', flags: ['-march=x86-64-v4'], needs: V4 },
  { name: 'x86-64-v3', flags: ['-march=x86-64-v3'], needs: V3 },
];
