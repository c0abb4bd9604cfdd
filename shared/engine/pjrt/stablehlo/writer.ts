/** Writes operations of StableHLO as text, each with the shape of its result. */
import { attentionCalls } from './attention-call.js';
import { elementWriter } from './element-writer.js';
import { createLines } from './lines.js';
import { windowWriter } from './window-writer.js';
import type { WindowOptions } from './window-writer.js';

export type WriterOptions = WindowOptions;
export type Writer = ReturnType<typeof createWriter>;

export function createWriter(options: WriterOptions) {
  const lines = createLines();
  const elements = elementWriter(lines);
  return {
    lines: lines.text,
    ...elements,
    ...windowWriter(lines, elements, options),
    ...attentionCalls(lines),
  };
}

export { typeOf } from './lines.js';
export type { Hlo, HloDtype } from './lines.js';
