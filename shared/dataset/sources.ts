/** The table of data sources, and what follows from it. A new kind is a row here and a file of its own. */
import { resolve } from 'node:path';
import type { Union, ValuesOf } from '../fields/index.js';
import { protoName } from '../foundation/index.js';
import { hasScheme } from '../store/index.js';
import { bucket } from './bucket-source.js';
import { folder } from './folder-source.js';
import { npz } from './npz-source.js';
import type { FileKind, SourceKind } from './source-kind.js';
import { twemoji } from './twemoji-source.js';
import { webdataset } from './webdataset-source.js';

/** By their names in recipe files and in the contracts (`Dataset.source`). An address means the last that it suits. */
export const SOURCES = { twemoji, folder, bucket, webdataset, npz };

export type SourceKindName = keyof typeof SOURCES;

/** Where images come from: a kind with its fields. */
export type DatasetSource = ValuesOf<{ source: Union<typeof SOURCES> }>['source'];

/** Of a recipe that is not complete, or of none of these kinds. */
interface AnySource {
  readonly kind?: string | undefined;
}

const rows: ReadonlyMap<string, SourceKind> = new Map(Object.entries<SourceKind>(SOURCES));

/** The kinds that are made of files. */
export const FILE_KINDS = (Object.keys(SOURCES) as SourceKindName[]).filter(
  (kind) => SOURCES[kind].location !== undefined,
);

/** The row of a source's kind; undefined where it is none of these. */
export function kindOf({ kind = '' }: AnySource): SourceKind | undefined {
  return rows.get(kind);
}

/** Where a source's files are; undefined where it isn't made of files. */
export function addressOf(source: AnySource): string | undefined {
  const location = kindOf(source)?.location;
  const value = location === undefined ? undefined : valueOf(source, location);
  return typeof value === 'string' ? value : undefined;
}

/** A source's description for people. */
export function describeSource(source: AnySource | undefined): string {
  return (source && addressOf(source)) ?? source?.kind ?? 'unknown';
}

/** Whether the images of a source have classes. */
export function hasClasses(source: AnySource): boolean {
  const classes = kindOf(source)?.classes;
  return classes !== undefined && valueOf(source, classes) === true;
}

/** The path of one of a source's fields in the contracts, under `dataset`. */
export function sourceField(source: AnySource, field: 'location' | 'classes'): string | undefined {
  const name = kindOf(source)?.[field];
  return name === undefined ? undefined : `${source.kind ?? ''}.${protoName(name)}`;
}

export interface AddressOptions {
  /** The kind, where the address alone doesn't say which one is meant. */
  readonly kind?: SourceKindName | undefined;
  readonly classes: boolean;
}

/**
 * The source that an address means. A relative path is taken from the working folder; a recipe's check says what is
 * wrong with the address.
 */
export function sourceAt(address: string, { kind, classes }: AddressOptions): DatasetSource {
  const [name, row] = [...rows].findLast(
    (entry): entry is [string, FileKind] =>
      entry[1].location !== undefined && (kind === undefined ? entry[1].suits(address) : entry[0] === kind),
  ) ?? ['folder', folder];
  const whole = hasScheme(address) ? address : resolve(address);
  // Every kind of files has these two fields and no other.
  return { kind: name, [row.location]: whole, [row.classes]: classes } as unknown as DatasetSource;
}

function valueOf(source: AnySource, name: string): unknown {
  return (source as Readonly<Record<string, unknown>>)[name];
}
