export { LEAST_IMAGES, measureExposure, measuresOf } from './measure-exposure.js';
export type { MeasureProgress, MeasureRequest } from './measure-exposure.js';
export { MEASURES } from './measures.js';
export type { Measure, Setting } from './measure.js';
export type { Curve, CurvePoint, Figure, Finding, MeasureResult } from './result.js';
export type { ImageSet, MeasuredModel } from './setup.js';
export { captionOf, pictureOf } from './pictures.js';
export { reportHtml, shown } from './report.js';
export { resultsCsv } from './tables.js';
