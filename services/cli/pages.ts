/** Lists that come in pages. */

interface Page<T> {
  readonly items: readonly T[];
  readonly nextPageToken: string;
}

/** Every item of a paged list, in the order of the pages. */
export async function allPages<T>(fetchPage: (pageToken: string) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = [];
  let pageToken = '';
  do {
    const page = await fetchPage(pageToken);
    items.push(...page.items);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return items;
}
