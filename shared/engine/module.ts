/** What the engine runs: named functions over named variables, and the interface of every backend. */
import type { Tensor } from '@tensorflow/tfjs-core';

export type EngineDtype = 'float32' | 'int32' | 'uint8';

export interface TensorSpec {
  readonly shape: readonly number[];
  readonly dtype: EngineDtype;
}

/** A float32 variable in the engine's layout (images NHWC, convolutions HWIO); it starts as zeros. */
export interface VariableSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /**
   * No function updates it. The compiled engine computes what follows from fixed variables alone once after each
   * `assign`, and not in every run.
   */
  readonly fixed?: boolean;
}

export type Tensors = Readonly<Record<string, Tensor>>;

export interface ModuleFunction {
  readonly inputs: Readonly<Record<string, TensorSpec>>;
  /**
   * Pure, in plain tfjs ops; called once a run by the eager engine, traced once by the compiled one.
   * A uint8 input arrives as an int32 tensor, since tfjs has no uint8.
   */
  body(inputs: Tensors, variables: Tensors): FunctionResult;
}

export interface FunctionResult {
  readonly outputs: Tensors;
  /** New values of variables. */
  readonly updates?: Tensors;
  /** A scalar: the updates are stored unless it is 0. Absent, they always are. */
  readonly commit?: Tensor;
}

/** What convolutions and matrix products multiply; sums are float32 always. */
export type EnginePrecision = 'float32' | 'bfloat16';

export interface EngineModule {
  /** float32 when absent. Only the compiled engine has another. */
  readonly precision?: EnginePrecision;
  readonly variables: readonly VariableSpec[];
  readonly functions: Readonly<Record<string, ModuleFunction>>;
}

export type EngineArray = Float32Array | Int32Array | Uint8Array;

export interface EngineBuild {
  readonly name: 'eager' | 'compiled' | 'pjrt';
  /** Version of tfjs, whose ops and gradient rules define every module. */
  readonly version: string;
  /** What computes them, with its version: `tensorflow 2.21.0`. */
  readonly library: string;
  readonly platform: string;
  readonly threads: number;
  /** For which processors the compiled engine's own kernels were built: a level's name, or `native`. */
  readonly kernelLevel?: string;
  /** Where the compiled engine runs without its own kernels, which is slower. */
  readonly withoutKernels?: WithoutKernels;
}

/** Why an engine has no kernels of its own. */
export interface WithoutKernels {
  /** In words that follow "without the engine's own kernels: ". */
  readonly reason: string;
  /** What to do to get them; none where they are switched off. */
  readonly remedy?: string;
}

export interface Engine {
  readonly build: EngineBuild;
  /** Whether an image's bytes are the same at every batch size and place in the batch, where weights are fixed. */
  readonly batchInvariant: boolean;
  load(module: EngineModule): Promise<LoadedModule>;
}

export interface LoadedModule {
  /** @throws DiffusionError INVALID_ARGUMENT for an unknown variable, INVALID_ARGUMENT for a wrong size. */
  assign(values: ReadonlyMap<string, Float32Array>): Promise<void>;
  /** Copies of the named variables. @throws DiffusionError INVALID_ARGUMENT. */
  read(names: readonly string[]): Promise<Map<string, Float32Array>>;
  /**
   * Runs a function and stores its updates; either all of them or, when it throws or withholds them, none.
   * @throws DiffusionError INVALID_ARGUMENT for an unknown function, INVALID_ARGUMENT for inputs that don't fit,
   * RESOURCE_EXHAUSTED (ENGINE_OUT_OF_MEMORY) out of memory, INTERNAL (ENGINE_FAILED) for anything else.
   */
  run(name: string, inputs: Readonly<Record<string, EngineArray>>): Promise<Record<string, Float32Array>>;
  /** Frees every variable; the module can't be used afterwards. */
  dispose(): Promise<void>;
}
