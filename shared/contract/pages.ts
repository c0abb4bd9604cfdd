/** Pages over a sorted list. */

import { invalidArgument, violation, type FieldViolation } from '../foundation/index.js';

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

export interface Paging<T> {
  /** A text of its own for each item; the list is sorted by it. */
  readonly keyOf: (item: T) => string;
  readonly order: 'rising' | 'falling';
  /** What a key looks like; a token that holds anything else is refused. */
  readonly keyPattern: RegExp;
}

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1000;

/**
 * The page that a list request asks for. A token holds the key of the last item of the page before, so that items
 * which come and go between two calls shift nothing.
 *
 * @param sorted All items, in the order of their keys.
 * @throws DiffusionError INVALID_ARGUMENT naming `pageSize` or `pageToken`.
 */
export function pageOf<T>(
  { pageSize, pageToken }: PageRequest,
  sorted: readonly T[],
  { keyOf, order, keyPattern }: Paging<T>,
): Page<T> {
  const last = Buffer.from(pageToken, 'base64url').toString('utf8');
  const found: FieldViolation[] = [];
  if (pageSize < 0) found.push(violation('page_size', 'an integer from 0', pageSize));
  if (pageToken !== '' && !keyPattern.test(last)) {
    found.push(violation('page_token', 'nothing, or the token of a page', pageToken));
  }
  if (found.length > 0) throw invalidArgument(found);
  const isAfter = (item: T): boolean => (order === 'rising' ? keyOf(item) > last : keyOf(item) < last);
  const rest = pageToken === '' ? sorted : sorted.filter(isAfter);
  const size = pageSize === 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
  const items = rest.slice(0, size);
  const end = rest.length > size ? items.at(-1) : undefined;
  return {
    items,
    nextPageToken: end === undefined ? '' : Buffer.from(keyOf(end), 'utf8').toString('base64url'),
  };
}
