export { probeEngine, untilEngineStarts } from './probe.js';
export type { EngineKnown } from './probe.js';
export type { EngineFound } from './probe-messages.js';
