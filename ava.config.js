// Tests run in child processes (workerThreads: false): native addons and the TypeScript loader both need it.
export default {
  files: ['test/**/*.test.ts'],
  extensions: { ts: 'module' },
  require: ['./test/setup/refused-fields.ts'],
  nodeArguments: ['--import=tsx'],
  workerThreads: false,
  // TensorFlow's notes on the processor are not news.
  environmentVariables: { TF_CPP_MIN_LOG_LEVEL: '2' },
  concurrency: 2,
  timeout: '3m',
};
