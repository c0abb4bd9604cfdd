/** Pages over jobs, newest first. */

import { invalidArgument, violation, type FieldViolation } from '../../shared/foundation/index.js';
import { newestFirst, type JobOrder } from './job-records.js';

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1000;

/**
 * The page that a request asks for. A token holds the last job of the page before, so that jobs which come meanwhile
 * shift nothing.
 *
 * @param all Newest first.
 * @throws DiffusionError INVALID_ARGUMENT naming `pageSize` or `pageToken`.
 */
export function pageOf(
  { pageSize, pageToken }: PageRequest,
  all: readonly JobOrder[],
): { readonly items: readonly JobOrder[]; readonly nextPageToken: string } {
  const after = pageToken === '' ? undefined : decodeToken(pageToken);
  const found: FieldViolation[] = [];
  if (pageSize < 0) found.push(violation('pageSize', 'an integer from 0', pageSize));
  if (pageToken !== '' && after === undefined)
    found.push(violation('pageToken', 'nothing, or the token of a page', pageToken));
  if (found.length > 0) throw invalidArgument(found);
  const size = pageSize === 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
  const rest = after === undefined ? all : all.filter((job) => newestFirst(job, after) > 0);
  const items = rest.slice(0, size);
  const last = rest.length > size ? items.at(-1) : undefined;
  return { items, nextPageToken: last === undefined ? '' : encodeToken(last) };
}

function encodeToken({ createdAt, jobId }: JobOrder): string {
  return Buffer.from(`${createdAt} ${jobId}`, 'utf8').toString('base64url');
}

function decodeToken(token: string): JobOrder | undefined {
  const [, createdAt, jobId] = /^(\S+Z) (\S+)$/.exec(Buffer.from(token, 'base64url').toString('utf8')) ?? [];
  return createdAt === undefined || jobId === undefined ? undefined : { createdAt, jobId };
}
