export { serveMetrics } from './endpoint.js';
export type { MetricsEndpoint } from './endpoint.js';
export { buildInfo, metricRegistry } from './registry.js';
export type { Handles, MetricRegistry } from './registry.js';
export { counter, gauge, histogram, LONG_SECONDS, OTHER, SHORT_SECONDS } from './rows.js';
export type { MetricRow, MetricTable } from './rows.js';
