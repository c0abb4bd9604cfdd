/** JSON from outside: one depth limit, no duplicate keys, valid UTF-8; what JSON.parse lets pass. */

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Parses UTF-8 JSON, refusing what `JSON.parse` accepts silently: duplicate keys and deep nesting.
 *
 * @throws SyntaxError or TypeError (bytes that aren't UTF-8), with a text that names no content.
 */
export function parseStrictJson(bytes: Uint8Array, maxDepth: number): unknown {
  const text = utf8.decode(bytes);
  scan(text, maxDepth);
  return JSON.parse(text);
}

/** One pass over the text; leaves every other rule of the grammar to `JSON.parse`, which runs after it. */
function scan(text: string, maxDepth: number): void {
  const keysOfOpen: Set<string>[] = [];
  for (let position = 0; position < text.length; position++) {
    const character = text[position];
    if (character === '{' || character === '[') {
      if (keysOfOpen.length === maxDepth) throw new SyntaxError(`nested deeper than ${maxDepth} levels`);
      keysOfOpen.push(new Set());
    } else if (character === '}' || character === ']') {
      keysOfOpen.pop();
    } else if (character === '"') {
      const end = endOfString(text, position);
      if (isFollowedByColon(text, end)) addKey(keysOfOpen.at(-1), text.slice(position, end));
      position = end - 1;
    }
  }
}

function addKey(keys: Set<string> | undefined, literal: string): void {
  // Escapes are resolved first: "a" and "\u0061" are one key.
  const key = String(JSON.parse(literal));
  if (keys?.has(key) === true)
    throw new SyntaxError(`the key ${JSON.stringify(key.slice(0, 64))} occurs twice`);
  keys?.add(key);
}

function endOfString(text: string, start: number): number {
  for (let position = start + 1; position < text.length; position++) {
    if (text[position] === '\\') position++;
    else if (text[position] === '"') return position + 1;
  }
  throw new SyntaxError('a string has no end');
}

function isFollowedByColon(text: string, position: number): boolean {
  while (position < text.length && ' \t\n\r'.includes(text.charAt(position))) position++;
  return text[position] === ':';
}
