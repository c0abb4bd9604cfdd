/** What a kind of store says of itself: one row of the table in `stores.ts`. */

import type { Environment, FieldViolation, Settings as SettingTable } from '../foundation/index.js';
import type { DataPlaces } from './data-places.js';
import type { FileSource } from './file-source.js';
import type { ObjectStore } from './object-store.js';
import type { OutageRetry } from './retrying-store.js';

/** The variable that holds the store's address. */
export const STORE_VARIABLE = 'IP_DIFFUSION_STORE';

/** The store where that variable is unset: a folder below the working directory. */
export const DEFAULT_STORE_FOLDER = 'ip-diffusion-store';

export interface OpenOptions {
  /** Whether it must be there already, because this service has opened it before. */
  readonly mustExist?: boolean;
}

export interface FilesOptions {
  /** Files are read by this ending; a location that ends so is one file, any other one a folder. */
  readonly extension?: string | undefined;
  /** Repeats what fails by an outage; default: a few tries. */
  readonly retryOutage?: OutageRetry | undefined;
}

export interface StoreKind<
  Settings extends { readonly kind: string } = { readonly kind: string },
  Access = unknown,
> {
  readonly kind: Settings['kind'];
  /** What stands before "://" in its addresses; undefined for the one kind whose addresses have no scheme. */
  readonly scheme: string | undefined;
  /** Stands for an address in help, such as `s3://BUCKET/PREFIX`. */
  readonly placeholder: string;
  /** Sentences for help: which variables it needs beside the address. */
  readonly notes: readonly string[];
  /** Of the store, beside its address. */
  readonly ownSettings: SettingTable;
  /** Of files of others, where they differ from those of the store. */
  readonly fileSettings: SettingTable;
  /**
   * What an address and the environment say. It crosses to the engine processes, so it is plain data.
   *
   * @param violations Takes each variable that is wrong; never with the text of a key.
   */
  settings(address: string, env: Environment, violations: FieldViolation[]): Settings;
  /** The address that the settings came from, whole; without its server, which may get another name. */
  addressOf(settings: Settings): string;
  open(settings: Settings, options: OpenOptions): ObjectStore | Promise<ObjectStore>;
  /**
   * What opening it would make, in a few words, where it isn't there yet; undefined where it is, or is never made.
   *
   * @throws where it could not be made.
   */
  unmade?(settings: Settings): Promise<string | undefined>;
  /** Whether an address is one from which files of others can be read. */
  isFileAddress(address: string): boolean;
  /**
   * What reading files of others takes, plain data as well; undefined where the environment says nothing of it.
   *
   * @param violations As for `settings`.
   * @param places Where such files may be; what it opens holds to them.
   */
  fileAccess(env: Environment, violations: FieldViolation[], places: DataPlaces): Access | undefined;
  /** @param address One that `isFileAddress` accepts. */
  openFiles(address: string, access: Access, options: FilesOptions): FileSource | Promise<FileSource>;
}
