export { describeExit, exitDetail, siblingModule, startChild } from './child-process.js';
export type { Child, ChildExit, ChildOptions } from './child-process.js';
export { connectToParent } from './parent-port.js';
export type { ParentPort } from './parent-port.js';
export { hasEnded, isRunningHere, processToken, thisProcess } from './process-identity.js';
export type { ProcessIdentity } from './process-identity.js';
export { checkedBySender } from './protocol.js';
export type { Protocol } from './protocol.js';
