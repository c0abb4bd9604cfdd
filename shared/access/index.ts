export { ROLES, seesOf } from './identity.js';
export type { Caller, Identity, Role, Sees } from './identity.js';
