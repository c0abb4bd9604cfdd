export { callLog } from './call-log.js';
export { CALL_METRICS, callObserver, observeAll } from './call-metrics.js';
export { endCallSpan } from './call-spans.js';
export {
  callStream,
  callUnary,
  connectMeasure,
  connectSampler,
  connectTrainer,
  whenReady,
} from './client.js';
export type { CallLimits, ConnectOptions } from './client.js';
export { channelSecurity, SYSTEM_CA } from './client-security.js';
export type { ClientSecurity } from './client-security.js';
export { serverStream, unary } from './handlers.js';
export type { ReceivingLimits } from './receiving.js';
export type { CallContext, HandlerOptions } from './handlers.js';
export { storeCheck } from './check-config.js';
export { runService, serviceLog } from './run-service.js';
export type { RunningService, ServiceLog } from './service-program.js';
export { isLoopback, SECURITY_SETTINGS } from './security-settings.js';
export type { ServerSecurity } from './security-settings.js';
export {
  ADDRESS_SETTINGS,
  DEFAULT_ADDRESSES,
  SERVER_SETTINGS,
  serverSettings,
  SERVICE_NAMES,
} from './server-settings.js';
export type { ServerSettings, ServiceName } from './server-settings.js';
export { serverInfo } from './server-info.js';
export { startGrpcServer, serviceStopping } from './server.js';
export type { GrpcServer, GrpcServerOptions, ServedService } from './server.js';
export { watchEngine, watchReadyStore } from './watch-readiness.js';
export { fromServiceError, toServiceError } from './status.js';
export type { CallError, ReportInternalError } from './status.js';
