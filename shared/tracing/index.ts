export { repeatedSpans } from './repeated-spans.js';
export type { RepeatedSpans } from './repeated-spans.js';
export { TRACING_SETTINGS, tracingSettings } from './settings.js';
export type { TracingSettings } from './settings.js';
export { NO_SPAN, reasonOf, spanned } from './span.js';
export type { Attributes, Span } from './span.js';
export { openTracer } from './open-tracer.js';
export { NO_TRACER } from './tracer.js';
export type { Tracer } from './tracer.js';
