export { createCompiledEngine } from './compiled-engine.js';
