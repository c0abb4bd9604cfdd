/** For a child that gets a message to begin, and reports that it has begun. */
import * as z from 'zod';

import type { Protocol } from '../../shared/processes/index.js';

export const BEGIN: Protocol<{ readonly kind: 'begin' }, { readonly kind: 'begun' }> = {
  toChild: z.object({ kind: z.literal('begin') }),
  fromChild: z.object({ kind: z.literal('begun') }),
  maxMessageBytes: 1000,
};
