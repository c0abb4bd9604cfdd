export { tf } from './tf.js';
export { createCompiledEngine, overdueRun } from './compiled/index.js';
export { createEngine, deviceFor } from './device.js';
export { createEagerEngine } from './eager-engine.js';
export { openFrozenGraph } from './frozen-graph.js';
export type { FrozenGraph } from './frozen-graph.js';
export { openLinearAlgebra } from './linear-algebra.js';
export type { NativeLinearAlgebra } from './linear-algebra.js';
export { gradientsWithin, stopGradient, valueAndGradients, valueAndGradientsWithin } from './gradients.js';
export type { LossAndGradients } from './gradients.js';
export type {
  Engine,
  EngineArray,
  EngineBuild,
  EngineDtype,
  EngineModule,
  EnginePrecision,
  FunctionResult,
  LoadedModule,
  ModuleFunction,
  Tensors,
  TensorSpec,
  VariableSpec,
  WithoutKernels,
} from './module.js';
export { adamW, after, attention, globalNorm, groupNorm, silu } from './composites/index.js';
export type { AdamWConfig, AdamWState } from './composites/index.js';
export { statelessNormal, statelessUniform, streamNormal } from './random.js';
export type { NativeArray } from './compiled/native-tensor.js';
export { savedModel } from './saved-model.js';
