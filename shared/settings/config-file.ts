/** A configuration file: settings in YAML, of which JSON is a part. */

import { readFileSync, statSync } from 'node:fs';

import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type ParsedNode } from 'yaml';

import { nearest, type FieldViolation, type Settings } from '../foundation/index.js';
import { allSettings, fileKey, isOpen, type ServiceSettings } from './service-settings.js';

/** Services that may have a section in one file. A service reads its own and leaves the others alone. */
const SECTIONS = ['trainer', 'sampler'] as const;

export interface FileSetting {
  readonly text: string;
  /** Such as `ip-diffusion.yaml:12 (sampler.max_images)`. */
  readonly origin: string;
}

const MAX_BYTES = 1024 ** 2;

/**
 * The settings of a service in a file, by their names in code.
 *
 * @param violations Takes each key that is unknown and each value that is none, by its place in the file. Values are
 * checked by whoever reads the settings.
 */
export function readConfigFile(
  path: string,
  table: ServiceSettings,
  violations: FieldViolation[],
): Map<string, FileSetting> {
  const found = new Map<string, FileSetting>();
  const refuse = (field: string, description: string): void => {
    violations.push({ field, description });
  };
  const text = textOf(path, refuse);
  if (text === undefined) return found;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  for (const { message } of document.errors) refuse(path, message.split('\n', 1)[0] ?? message);
  if (document.errors.length > 0 || document.contents === null) return found;

  const place = (node: ParsedNode, name: string): string =>
    `${path}:${lines.linePos(node.range[0]).line} (${name})`;

  function readMap(node: ParsedNode | null, settings: Settings, section: string): void {
    if (!isMap(node)) {
      const field = node === null ? path : place(node, section || 'the file');
      refuse(field, 'wanted settings, each as "name: value"');
      return;
    }
    const keys = new Map(
      Object.entries(settings)
        .filter(([, setting]) => isOpen(setting))
        .map(([key]) => [fileKey(key), key]),
    );
    const sections: readonly string[] = section === '' ? SECTIONS : [];
    for (const { key: keyNode, value } of node.items) {
      const name = isScalar(keyNode) ? String(keyNode.value) : '?';
      const origin = place(keyNode, section === '' ? name : `${section}.${name}`);
      const key = keys.get(name);
      if (sections.includes(name)) {
        if (name === table.service && settingText(value) !== '') readMap(value, allSettings(table), name);
      } else if (key === undefined)
        refuse(origin, unknownKey(name, [...keys.keys(), ...sections], section, table));
      else {
        const given = settingText(value);
        if (given === undefined) refuse(origin, 'wanted a value, or a list of values');
        // A section is more particular than the top, wherever it stands.
        else if (given !== '' && (section !== '' || !found.has(key))) found.set(key, { text: given, origin });
      }
    }
  }

  readMap(document.contents, table.shared, '');
  return found;
}

function textOf(path: string, refuse: (field: string, description: string) => void): string | undefined {
  try {
    const status = statSync(path);
    if (!status.isFile()) refuse(path, 'wanted a file; it is none');
    else if (status.size > MAX_BYTES) refuse(path, `wanted at most ${MAX_BYTES} bytes; got ${status.size}`);
    else return readFileSync(path, 'utf8');
  } catch (error) {
    refuse(path, `wanted a file that can be read; ${error instanceof Error ? error.message : 'it can not'}`);
  }
  return undefined;
}

/** As it would stand in a variable; '' for none, undefined for what is no value of a setting. */
function settingText(node: ParsedNode | null): string | undefined {
  if (node === null) return '';
  if (isAlias(node) || isMap(node)) return undefined;
  if (isSeq(node)) {
    const parts = node.items.map((item) => (isSeq(item) ? undefined : settingText(item)));
    // A comma would make two of one.
    return parts.every((part) => part !== undefined && !part.includes(',')) ? parts.join(',') : undefined;
  }
  const { value, source } = node;
  if (value === null) return '';
  if (typeof value === 'boolean') return value ? 'on' : 'off';
  // A number as it is written, whose digits might be more than a number holds.
  return typeof value === 'string' ? value.trim() : source.trim();
}

function unknownKey(name: string, known: readonly string[], section: string, table: ServiceSettings): string {
  const own = Object.keys(table.own).map(fileKey);
  if (section === '' && own.includes(name)) return `stands in the section ${table.service}`;
  const meant = nearest(name, known);
  return `is unknown${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}
