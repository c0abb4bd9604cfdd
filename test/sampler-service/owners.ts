/** Whose rows tests compute. */

import { newCall, type Owner } from '../../services/sampler/priorities.js';

/** Of a call of its own. */
export function ownerOf(fields: Partial<Owner> = {}): Owner {
  return { priority: 'normal', caller: 'somebody', call: newCall(), ...fields };
}
