/**
 * Loaded before every test file: a service of the tests' own process that refuses a field under a name that the
 * contracts don't have fails the file, whatever the test looks at.
 */

import { subscribe } from 'node:diagnostics_channel';

import type { CallError } from '../../shared/rpc/index.js';

subscribe('ip-diffusion.rpc.error', (message) => {
  const { method, error } = message as CallError;
  if (error.violations.length === 0 || !method.startsWith('/diffusion.')) return;
  // Read only where something is refused: most files never need the descriptors.
  void import('../contract/field-path.js').then(({ isFieldOf }) => {
    for (const { field } of error.violations) {
      if (!isFieldOf(method, field))
        throw new Error(`${method} refuses ${field}, which its request doesn't have`);
    }
  });
});
