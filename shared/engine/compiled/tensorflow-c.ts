/** The part of TensorFlow's C API that running a graph takes, by way of koffi. */
import koffi from '../koffi.js';
import { loadTensorFlow, notLoaded } from '../tensorflow-library.js';

/** A pointer; 0n is none. */
export type Pointer = bigint;

/** Functions under the C API's names; memory is passed as typed arrays or as pointers. */
export interface TensorFlowC {
  TF_Version(): string;
  TF_NewStatus(): Pointer;
  TF_DeleteStatus(status: Pointer): void;
  TF_GetCode(status: Pointer): number;
  TF_Message(status: Pointer): string;

  TF_NewBuffer(): Pointer;
  TF_NewBufferFromString(bytes: Uint8Array, length: number): Pointer;
  TF_DeleteBuffer(buffer: Pointer): void;
  TF_GetBuffer(buffer: Pointer): { readonly data: Pointer; readonly length: number };

  TF_NewGraph(): Pointer;
  TF_DeleteGraph(graph: Pointer): void;
  TF_NewImportGraphDefOptions(): Pointer;
  TF_DeleteImportGraphDefOptions(options: Pointer): void;
  TF_GraphImportGraphDef(graph: Pointer, graphDef: Pointer, options: Pointer, status: Pointer): void;
  TF_GraphOperationByName(graph: Pointer, name: string): Pointer;

  TF_NewSessionOptions(): Pointer;
  TF_DeleteSessionOptions(options: Pointer): void;
  TF_SetConfig(options: Pointer, config: Uint8Array, length: number, status: Pointer): void;
  TF_NewSession(graph: Pointer, options: Pointer, status: Pointer): Pointer;
  TF_CloseSession(session: Pointer, status: Pointer): void;
  TF_DeleteSession(session: Pointer, status: Pointer): void;
  TF_SessionRun: SessionRun;

  TF_AllocateTensor(dtype: number, lengths: BigInt64Array, rank: number, bytes: number): Pointer;
  TF_DeleteTensor(tensor: Pointer): void;
  TF_TensorByteSize(tensor: Pointer): number;
  TF_TensorData(tensor: Pointer): Pointer;
  TF_TensorType(tensor: Pointer): number;
  TF_NumDims(tensor: Pointer): number;
  TF_Dim(tensor: Pointer, axis: number): number | bigint;

  /** C's own. */
  memcpy(to: Pointer | ArrayBufferView, from: Pointer | ArrayBufferView, bytes: number): void;
}

export type SessionRunArguments = [
  session: Pointer,
  runOptions: Pointer,
  inputs: BigUint64Array,
  inputTensors: BigUint64Array,
  inputCount: number,
  outputs: BigUint64Array,
  outputTensors: BigUint64Array,
  outputCount: number,
  targets: BigUint64Array,
  targetCount: number,
  runMetadata: Pointer,
  status: Pointer,
];

/** Blocks when called; `async` runs on another thread. Both read the arrays until they are done. */
export interface SessionRun {
  (...args: SessionRunArguments): void;
  async(...args: [...SessionRunArguments, callback: (error: Error | null) => void]): void;
}

const PROTOTYPES = {
  TF_Version: 'const char *TF_Version()',
  TF_NewStatus: 'void *TF_NewStatus()',
  TF_DeleteStatus: 'void TF_DeleteStatus(void *status)',
  TF_GetCode: 'int TF_GetCode(const void *status)',
  TF_Message: 'const char *TF_Message(const void *status)',
  TF_NewBuffer: 'void *TF_NewBuffer()',
  TF_NewBufferFromString: 'void *TF_NewBufferFromString(const void *proto, size_t length)',
  TF_DeleteBuffer: 'void TF_DeleteBuffer(void *buffer)',
  TF_GetBuffer: 'TF_Buffer TF_GetBuffer(void *buffer)',
  TF_NewGraph: 'void *TF_NewGraph()',
  TF_DeleteGraph: 'void TF_DeleteGraph(void *graph)',
  TF_NewImportGraphDefOptions: 'void *TF_NewImportGraphDefOptions()',
  TF_DeleteImportGraphDefOptions: 'void TF_DeleteImportGraphDefOptions(void *options)',
  TF_GraphImportGraphDef:
    'void TF_GraphImportGraphDef(void *graph, const void *graphDef, const void *options, void *status)',
  TF_GraphOperationByName: 'void *TF_GraphOperationByName(void *graph, const char *name)',
  TF_NewSessionOptions: 'void *TF_NewSessionOptions()',
  TF_DeleteSessionOptions: 'void TF_DeleteSessionOptions(void *options)',
  TF_SetConfig: 'void TF_SetConfig(void *options, const void *config, size_t length, void *status)',
  TF_NewSession: 'void *TF_NewSession(void *graph, const void *options, void *status)',
  TF_CloseSession: 'void TF_CloseSession(void *session, void *status)',
  TF_DeleteSession: 'void TF_DeleteSession(void *session, void *status)',
  TF_SessionRun:
    'void TF_SessionRun(void *session, const void *runOptions, const void *inputs, const void *inputTensors, int inputCount, const void *outputs, void *outputTensors, int outputCount, const void *targets, int targetCount, void *runMetadata, void *status)',
  TF_AllocateTensor: 'void *TF_AllocateTensor(int dtype, const void *lengths, int rank, size_t bytes)',
  TF_DeleteTensor: 'void TF_DeleteTensor(void *tensor)',
  TF_TensorByteSize: 'size_t TF_TensorByteSize(const void *tensor)',
  TF_TensorData: 'void *TF_TensorData(const void *tensor)',
  TF_TensorType: 'int TF_TensorType(const void *tensor)',
  TF_NumDims: 'int TF_NumDims(const void *tensor)',
  TF_Dim: 'int64_t TF_Dim(const void *tensor, int axis)',
} as const satisfies Record<Exclude<keyof TensorFlowC, 'memcpy'>, string>;

let loaded: TensorFlowC | undefined;

/**
 * The C API of the library that tfjs-node's addon uses too; loaded once a process.
 * @throws DiffusionError FAILED_PRECONDITION (ENGINE_START) when it is missing or can't be loaded.
 */
export function tensorflowC(): TensorFlowC {
  loaded ??= load();
  return loaded;
}

function load(): TensorFlowC {
  try {
    const library = loadTensorFlow();
    koffi.struct('TF_Buffer', { data: 'void *', length: 'size_t', data_deallocator: 'void *' });
    const functions = Object.entries(PROTOTYPES).map(
      ([name, prototype]) => [name, library.func(prototype)] as const,
    );
    const memcpy = koffi.load(null).func('void *memcpy(void *to, const void *from, size_t bytes)');
    return { ...Object.fromEntries(functions), memcpy } as unknown as TensorFlowC;
  } catch (cause) {
    throw notLoaded(cause);
  }
}
