export { CALL_METRICS, callObserver } from './call-metrics.js';
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
export { METRICS_VARIABLE } from './metrics-settings.js';
export { runService, serviceLog } from './run-service.js';
export type { RunningService, ServiceLog } from './run-service.js';
export { isLoopback, SECURITY_VARIABLES } from './security-settings.js';
export type { ServerSecurity } from './security-settings.js';
export { ADDRESS_VARIABLES, DEFAULT_ADDRESSES, serverSettings } from './server-settings.js';
export type { ServerSettings, ServiceName } from './server-settings.js';
export { startGrpcServer } from './server.js';
export type { GrpcServer, GrpcServerOptions, ServedService } from './server.js';
export { fromServiceError, toServiceError } from './status.js';
export type { CallError, ReportInternalError } from './status.js';
