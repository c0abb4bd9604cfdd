export { claimAttempt, isLatestAttempt, latestAttempt } from './attempts.js';
export { commitCheckpoint } from './commits.js';
export { writeManifest } from './write-manifest.js';
export type { Commit, CommitStage, CommittedObject } from './commits.js';
export { bindingOf, bindModel, jobOfModel, latestHint, listModels } from './models.js';
export {
  activeJobOfKey,
  activeKeys,
  deploymentKeys,
  eventOfKey,
  jobKeys,
  listedJobOfKey,
  listedKeys,
  measurementKeys,
  measurementOfKey,
  requestKeys,
} from './keys.js';
export type { ListedJob } from './keys.js';
export { findJson, inspectJson, jsonBytes } from './json-object.js';
export type { LatestHint } from './models.js';
export { deleteCheckpoint, deleteModel } from './delete.js';
export {
  adoptSpilled,
  clearSpill,
  forgetSpilled,
  ownSpilled,
  removeSpilled,
  spillCommit,
  uploadSpilled,
} from './spill.js';
export type { AdoptedCommits, Spill, SpilledCommit } from './spill.js';
export { prune, removeAbandoned } from './prune.js';
export type { Retention } from './prune.js';
export { latestCommit, listCommits, newestGoodCommit, readCommit, readObject } from './read-commits.js';
export type { CommittedCheckpoint, DamagedCheckpoint } from './read-commits.js';
export {
  checkpointOf,
  checkpointSteps,
  chooseWeights,
  newestCheckpoint,
  readCheckpoint,
  readEngineParameters,
  readParameters,
} from './checkpoints.js';
export type { Checkpoint, ChosenWeights, WeightsSource } from './checkpoints.js';
