/** Pages over a sorted list. */

import { invalidArgument, unmet } from '../foundation/index.js';

export interface PageRequest {
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface Page<Message> {
  readonly items: Message[];
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

/** The message that a page has for an item. */
export interface PageContent<T, Message> {
  /** Undefined for an item that is skipped. */
  readonly read: (item: T) => Promise<Message | undefined>;
  readonly encode: (message: Message) => { finish(): Uint8Array };
}

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1000;
/** Well below the 4 MiB that clients take by default. */
const MAX_PAGE_BYTES = 3 * 1024 * 1024;
const READ_AT_ONCE = 16;

/**
 * The page that a list request asks for: as many messages as it wants, or as a response can hold, but one at least. A
 * token holds the key of the last item that the page has, so that items which come and go between two calls shift
 * nothing, and a token shows no name of an item that is skipped. Nothing in a token is trusted: it is a place in a list of
 * which each item is checked again.
 *
 * @param itemsAfter The items behind that of a key, or all; no more of them is taken than the page needs.
 * @throws DiffusionError INVALID_ARGUMENT naming `page_token`; what `read` or the items throw.
 */
export async function pageFrom<T, Message>(
  { pageSize, pageToken }: PageRequest,
  itemsAfter: (key: string | undefined) => AsyncIterable<T>,
  { keyOf, keyPattern }: Pick<Paging<T>, 'keyOf' | 'keyPattern'>,
  { read, encode }: PageContent<T, Message>,
): Promise<Page<Message>> {
  const after = Buffer.from(pageToken, 'base64url').toString('utf8');
  const found = unmet((demand) => {
    const met = pageToken === '' || keyPattern.test(after);
    demand(met, 'page_token', 'nothing, or a next_page_token from an earlier answer', pageToken);
  });
  if (found.length > 0) throw invalidArgument(found);
  const size = pageSize === 0 ? DEFAULT_PAGE_SIZE : Math.min(pageSize, MAX_PAGE_SIZE);
  const items: Message[] = [];
  let bytes = 0;
  let last: T | undefined;
  for await (const batch of batchesOf(itemsAfter(pageToken === '' ? undefined : after))) {
    const messages = await Promise.all(batch.map(read));
    for (const [i, item] of batch.entries()) {
      const message = messages[i];
      bytes += message === undefined ? 0 : encode(message).finish().length;
      const isFull = items.length === size || (bytes > MAX_PAGE_BYTES && items.length > 0);
      if (isFull && last !== undefined) return { items, nextPageToken: tokenOf(keyOf(last)) };
      if (message === undefined) continue;
      items.push(message);
      last = item;
    }
  }
  return { items, nextPageToken: '' };
}

/** `pageFrom` over a list. @param sorted All items, in the order of their keys. */
export async function pageOf<T, Message>(
  request: PageRequest,
  sorted: readonly T[],
  paging: Paging<T>,
  content: PageContent<T, Message>,
): Promise<Page<Message>> {
  const { keyOf, order } = paging;
  const isAfter = (item: T, key: string): boolean =>
    order === 'rising' ? keyOf(item) > key : keyOf(item) < key;
  // eslint-disable-next-line @typescript-eslint/require-await -- a list is there at once
  async function* itemsAfter(key: string | undefined): AsyncGenerator<T> {
    yield* key === undefined ? sorted : sorted.filter((item) => isAfter(item, key));
  }
  return pageFrom(request, itemsAfter, paging, content);
}

async function* batchesOf<T>(items: AsyncIterable<T>): AsyncGenerator<readonly T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < READ_AT_ONCE) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

function tokenOf(key: string): string {
  return Buffer.from(key, 'utf8').toString('base64url');
}
