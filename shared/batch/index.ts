export { noClaims, sharedClaims } from './claims.js';
export type { Claims } from './claims.js';
export { FORMAT_NAMES, formatHelp } from './formats.js';
export type { FormatName } from './formats.js';
export { batchStatus, removeShard, verifyBatch } from './inspect-batch.js';
export type { BatchStatus, VerifiedShard } from './inspect-batch.js';
export { makePlan } from './make-plan.js';
export type { AskedBatch } from './make-plan.js';
export { makeShard } from './make-shard.js';
export {
  adoptPlan,
  cancelBatch,
  findPlan,
  isCancelled,
  isComplete,
  missingShards,
  readPlan,
  uncancelBatch,
} from './open-batch.js';
export { packBatch } from './pack-batch.js';
export { DEFAULT_SHARD_SIZE, describePlan, MAX_SHARD_SIZE, planSha256 } from './plan.js';
export type { BatchPart, BatchPlan } from './plan.js';
export { runBatch } from './run-batch.js';
export type { BatchProgress } from './run-batch.js';
export { samplerPool } from './sampler-pool.js';
export type { SamplerPool } from './sampler-pool.js';
