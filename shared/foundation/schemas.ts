/** Schemas of counts, for what is stored and what processes send each other. */

import * as z from 'zod';

/** From 0 on, and held exactly. */
export const countSchema = z.int().nonnegative();

/** From 1 on, and held exactly. */
export const positiveCountSchema = z.int().positive();
