const { existsSync } = process.getBuiltinModule('node:fs');

// Which room may import which, with the reason beside each rule. A room imports only rooms above it in this list.
const ROOMS = [
  ['foundation', 'Everything rests on it, so it rests on nothing of ours.'],
  [
    'settings',
    'Reads flags, the environment and a file by tables; what a setting means is said where it is declared.',
  ],
  ['fields', 'Declares the fields of any message; what they mean is said where they are declared.'],
  [
    'random',
    'A draw is a function of seed, purpose and position: whoever draws says these and nothing else.',
  ],
  [
    'statistics',
    'Figures of rows of numbers and how sure they are, whatever these are of; its linear algebra is handed in, so that it needs no engine.',
  ],
  ['processes', 'Starts and watches any child process; what it computes is its own matter.'],
  ['images', 'Turns bytes into pixels; where they come from is the data set’s matter.'],
  ['charts', 'Draws figures; what they measure is their maker’s matter.'],
  ['metrics', 'Keeps numbers for operators; what they measure is said in tables beside the thing measured.'],
  ['tracing', 'Makes traces for operators; what is traced is said where it is done.'],
  ['store', 'Keeps bytes and knows no tensors.'],
  ['dataset', 'Delivers batches; what is learned from them is not its business.'],
  ['noise', 'The mathematics of noising holds for any network and any loss.'],
  ['sampler', 'Solvers take the network as a row predictor and hold none of the engine’s tensors.'],
  ['exposure', 'Measures a network by its predictions alone, so that a closed form can stand in its place.'],
  ['engine', 'Runs tensors for anyone: it must not know what they mean.'],
  ['probe', 'Tries whether an engine can be started, and loads none itself.'],
  ['model', 'A network is a function of x_t, t and y; objectives and solvers are not part of it.'],
  ['loss', 'Takes the network as a function, so that every objective is tested on a network of one line.'],
  ['optimizer', 'Updates named parameters, whatever loss made the gradients.'],
  ['recipe', 'Describes a job in words of the rooms above; running it is the services’ work.'],
  ['training', 'Trains a network; where its state is kept, and who watches, is not its business.'],
  ['checkpoint', 'Turns state into bytes and knows no disk.'],
  ['interchange', 'Reads files from elsewhere as data; what becomes of them is for their reader to say.'],
  [
    'quality',
    'Measures sets of images by features of any extractor; where the images came from is not its business.',
  ],
  [
    'models',
    'Keeps checkpoints by name and version in a store; who trains or serves them is not its business.',
  ],
  [
    'measuring',
    'Measures the network of a recipe by its predictions; where it runs, and who waits for the result, is not its business.',
  ],
  ['contract', 'The wire form of the rooms’ types: the rooms must not know that there is a wire.'],
  ['access', 'Says who calls and what they may do; how calls travel is not its business.'],
  ['rpc', 'Runs servers and calls them; the contract’s types pass through it.'],
  [
    'batch',
    'Makes large sets of images in shards, as a client of samplers; who starts its workers, and where, is not its business.',
  ],
];
const names = ROOMS.map(([name]) => name);
const absent = names.filter((name) => !existsSync(`${__dirname}/shared/${name}`));
if (absent.length > 0) throw new Error(`rooms that don't exist: ${absent.join(', ')}`);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...ROOMS.map(([name, comment], index) => ({
      name: `order-${name}`,
      severity: 'error',
      comment,
      from: { path: `^shared/${name}/` },
      to: { path: `^(services|deploy|test)/|^shared/(${names.slice(index + 1).join('|')})/` },
    })).filter(({ to }) => !to.path.endsWith('()/')),
    {
      name: 'known-rooms',
      severity: 'error',
      comment: 'A new room needs its place in the order above, or no rule holds for it.',
      from: {},
      to: { path: '^shared/', pathNot: `^shared/(${names.join('|')})/` },
    },
    {
      name: 'through-the-index',
      severity: 'error',
      comment: 'A room’s promise is its index.ts; the rest may change without asking.',
      from: { path: '^(?:shared|services)/([^/]+)/' },
      to: { path: '^shared/([^/]+)/', pathNot: ['^shared/$1/', '^shared/[^/]+/index\\.ts$'] },
    },
    {
      name: 'loss-and-sampler-without-a-model',
      severity: 'error',
      comment: 'They take the network as a function; importing one would tie them to it.',
      from: { path: '^shared/(loss|sampler)/' },
      to: { path: '^shared/model/' },
    },
    {
      name: 'store-without-tensors',
      severity: 'error',
      comment: 'Stored bytes must not depend on what made them.',
      from: { path: '^shared/store/' },
      to: { path: '^shared/(engine|model|checkpoint)/' },
    },
    {
      name: 'sampler-without-an-engine',
      severity: 'error',
      comment: 'Solvers are plain arithmetic over Float32Array, testable without TensorFlow.',
      from: { path: '^shared/sampler/' },
      to: { path: '^shared/engine/' },
    },
    {
      name: 'services-apart',
      severity: 'error',
      comment: 'Services meet on the wire and in the store only, so that each can be deployed alone.',
      from: { path: '^services/([^/]+)/' },
      // Tables of settings are plain data: `serve` makes its flags and help of them.
      to: { path: '^services/', pathNot: ['^services/$1/', '^services/[^/]+/settings\\.ts$'] },
    },
    {
      name: 'tables-of-settings-are-data',
      severity: 'error',
      comment: 'The command line reads them, and must not load a service for it.',
      from: { path: '^services/[^/]+/settings\\.ts$' },
      to: { path: '^services/' },
    },
    onlyFrom('yaml', 'settings', 'node_modules/yaml/', 'One room reads configuration files.'),
    onlyFrom(
      'tensorflow',
      'engine',
      'node_modules/(@tensorflow|koffi)/',
      'One room owns the runtime, so it can be exchanged.',
    ),
    onlyFrom(
      'sharp',
      'images',
      'node_modules/sharp/',
      'One room decodes images, with its limits against hostile ones.',
    ),
    onlyFrom('minio', 'store', 'node_modules/minio/', 'One room speaks S3, behind the store’s interface.'),
    onlyFrom(
      'prom-client',
      'metrics',
      'node_modules/prom-client/',
      'One room keeps metrics; the others hand numbers to it.',
    ),
    onlyFrom(
      'opentelemetry',
      'tracing',
      'node_modules/@opentelemetry/',
      'One room loads it, and only where traces are switched on.',
    ),
    {
      name: 'only-pipelines-import-temporal',
      severity: 'error',
      comment: 'It is installed for pipelines alone; everything else works without it.',
      from: { pathNot: '^services/cli/pipeline/' },
      to: { path: 'node_modules/@temporalio/' },
    },
    {
      name: 'grpc-at-the-edge',
      severity: 'error',
      comment: 'The rooms must work without a wire.',
      from: { path: '^shared/', pathNot: '^shared/(contract|rpc)/' },
      to: { path: 'node_modules/(@grpc|grpc-health-check)/' },
    },
    {
      name: 'no-circles',
      severity: 'error',
      comment: 'A circle has no first file to read.',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      severity: 'error',
      comment: 'An import that isn’t found escapes every other rule.',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules/' },
    exclude: { path: '/generated/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
    },
  },
};

function onlyFrom(name, room, path, comment) {
  return {
    name: `only-${room}-imports-${name}`,
    severity: 'error',
    comment,
    from: { pathNot: `^shared/${room}/` },
    to: { path },
  };
}
