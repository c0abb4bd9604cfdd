export * as tf from '@tensorflow/tfjs-core';
export { createCompiledEngine } from './compiled/index.js';
export { createEagerEngine } from './eager-engine.js';
export { stopGradient, valueAndGradients } from './gradients.js';
export type { LossAndGradients } from './gradients.js';
export type {
  Engine,
  EngineArray,
  EngineBuild,
  EngineDtype,
  EngineModule,
  FunctionResult,
  LoadedModule,
  ModuleFunction,
  Tensors,
  TensorSpec,
  VariableSpec,
} from './module.js';
export { statelessNormal, statelessUniform } from './random.js';
