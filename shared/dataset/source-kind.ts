/** What a kind of data source says of itself: one row of the table in `sources.ts`. */
import { field, type Field, type Fields, type UnionVariant, type ValuesOf } from '../fields/index.js';
import { bool, textThat } from '../foundation/index.js';
import { isFileAddress, type FileSource } from '../store/index.js';
import type { ImageSettings } from './image-settings.js';
import type { ImageSource } from './image-source.js';

/** A source that comes with the program. Its fields are those of its message in the contracts. */
export interface BundledKind<F extends Fields = Fields> extends UnionVariant<F> {
  readonly location?: undefined;
  readonly classes?: undefined;
  readonly extension?: undefined;
  open(source: ValuesOf<F>, context: ImageSettings): Promise<ImageSource>;
}

/** A source that is made of files, wherever these are. */
export interface FileKind<F extends Fields = Fields> extends UnionVariant<F> {
  /** The field that says where the files are. */
  readonly location: keyof F & string;
  /** The field, true or false, that says whether the images have classes. */
  readonly classes: keyof F & string;
  /** An address that ends so is one file, any other one a folder; unset where it is always a folder. */
  readonly extension?: string;
  /** Whether this is the kind that an address means where nobody says more. The last row that says so is taken. */
  suits(address: string): boolean;
  /** Finds out what is there. @throws what `context.files` throws. */
  open(source: ValuesOf<F>, context: FilesContext): Promise<ImageSource>;
}

export interface FilesContext extends ImageSettings {
  /** Of the source's address. Closed by whoever called, once the images are prepared. */
  readonly files: FileSource;
  readonly signal?: AbortSignal | undefined;
}

export type SourceKind = BundledKind | FileKind;

interface AddressText {
  /** Completes the sentence "wanted ...". */
  readonly wanted: string;
  readonly placeholder: string;
  readonly help: string;
  readonly isRight?: (address: string) => boolean;
}

/** A field that holds where files are. */
export function addressField({
  wanted,
  placeholder,
  help,
  isRight = () => true,
}: AddressText): Field<string, false> {
  const passes = (text: string): boolean => isFileAddress(text) && isRight(text);
  return field(textThat(passes, wanted, placeholder), help);
}

/** A field that says whether the images have classes. */
export function classesField(help: string): Field<boolean, false> {
  return field(bool, help, { default: false });
}
