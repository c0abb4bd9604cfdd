export { createCompiledEngine, overdueRun } from './compiled-engine.js';
export type { CompiledEngine, CompiledModule } from './compiled-engine.js';
export type { NodeTime } from './profile.js';
export { nativeKernels } from './native-kernels.js';
