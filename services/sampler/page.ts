/** Pages over sorted names. */

import { invalidArgument, violation, type FieldViolation } from '../../shared/foundation/index.js';
import { NAME_PATTERN } from '../../shared/recipe/index.js';

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1000;

export interface Page {
  readonly names: readonly string[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/**
 * The page that a list request asks for. A token holds the last name of the page before, so that models that come
 * and go between two calls shift nothing.
 *
 * @throws DiffusionError INVALID_ARGUMENT naming `pageSize` or `pageToken`.
 */
export function readPage(request: { pageSize: number; pageToken: string }, names: readonly string[]): Page {
  const { pageSize, pageToken } = request;
  const after = Buffer.from(pageToken, 'base64url').toString('utf8');
  const found: FieldViolation[] = [];
  if (pageSize < 0) found.push(violation('pageSize', 'an integer from 0', pageSize));
  if (pageToken !== '' && !NAME_PATTERN.test(after)) {
    found.push(violation('pageToken', 'nothing, or the token of a page', pageToken));
  }
  if (found.length > 0) throw invalidArgument(found);
  const size = pageSize === 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
  const rest = names.filter((name) => name > after);
  const page = rest.slice(0, size);
  const last = rest.length > size ? page.at(-1) : undefined;
  return {
    names: page,
    nextPageToken: last === undefined ? '' : Buffer.from(last, 'utf8').toString('base64url'),
  };
}
