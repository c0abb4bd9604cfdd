/** docs/fields.md: every field of a recipe, from the table of fields. */

import type { Field, Fields, Node, Section } from '../../shared/fields/index.js';
import { protoName, type Kind, type ListKind } from '../../shared/foundation/index.js';
import { RECIPE } from '../../shared/recipe/index.js';

export function fieldsPage(): string {
  const nodes = Object.entries(RECIPE as Fields);
  const sections = nodes.flatMap(([key, node]) =>
    node.node === 'section'
      ? [`## ${protoName(key)}`, sentence(node.help), table(rowsOfSection(node, key))]
      : [],
  );
  const single = nodes.filter(([, node]) => node.node !== 'section');
  const page = [
    '# Fields of a recipe',
    'On the command line `--set FIELD=VALUE` sets any of these fields, with commas between the values of a list: `--set ema.rates=0.99,0.999`. Some have a flag too. In a recipe file the names are written in camelCase, and a data set\'s source has its `kind`: `{"dataset": {"source": {"kind": "folder", "path": "/images"}, "imageSize": 32}}` sets `dataset.folder.path` and `dataset.image_size`. Errors name fields as they stand here.',
    'An unset field has the value of the chosen variant, else that of the preset, else the default. The fields that may change can be changed when a job is resumed.',
    'Generated from `shared/recipe` by `npm run docs`.',
    table(rowsOf(Object.fromEntries(single), [], '')),
    ...sections,
  ];
  return `${page.join('\n\n')}\n`;
}

/** Presets give every field of a section that has no default and must be set. */
function rowsOfSection({ fields, optional }: Section, key: string): string[] {
  return rowsOf(fields, [protoName(key)], optional ? '' : "the preset's");
}

/** @param otherwise The text of the default where a field has none. */
function rowsOf(fields: Fields, path: readonly string[], otherwise: string): string[] {
  return Object.entries(fields).flatMap(([key, node]) => rowsOfNode(node, key, path, otherwise));
}

function rowsOfNode(node: Node, key: string, path: readonly string[], otherwise: string): string[] {
  switch (node.node) {
    case 'field':
      return [fieldRow([...path, protoName(key)], node, node.optional ? '' : otherwise)];
    case 'section':
      return rowsOf(node.fields, [...path, protoName(key)], otherwise);
    case 'union':
      return Object.entries(node.variants).flatMap(([kind, { help, fields, isInternal }]) => {
        if (isInternal) return [];
        const own = [...path, protoName(kind)];
        const value = Object.keys(fields).length === 0 ? 'true' : '';
        return [row([code(own.join('.')), value, '', '', help]), ...rowsOf(fields, own, '')];
      });
  }
}

function fieldRow(path: readonly string[], field: Field<unknown>, otherwise: string): string {
  const { default: value, flag, help, mayChange, kind } = field;
  return row([
    code(path.join('.')) + (flag === undefined ? '' : `, ${code(`--${flag}`)}`),
    wantedOf(kind),
    value === undefined ? otherwise : code(JSON.stringify(value).replace(/^"|"$|[[\]]/g, '')),
    mayChange ? 'yes' : '',
    help,
  ]);
}

function wantedOf(kind: Kind<unknown>): string {
  return 'of' in kind ? `${kind.wanted}, each ${(kind as ListKind<unknown>).of.wanted}` : kind.wanted;
}

function table(rows: readonly string[]): string {
  return [
    row(['Field', 'Value', 'Default', 'May change', 'Meaning']),
    row(Array(5).fill('---')),
    ...rows,
  ].join('\n');
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function code(text: string): string {
  return `\`${text}\``;
}

function sentence(help: string): string {
  return `${help.charAt(0).toUpperCase()}${help.slice(1)}.`;
}
