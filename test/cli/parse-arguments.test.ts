import test from 'ava';

import { address, flag, integer, integers, oneOf, option, real, uint64 } from '../../services/cli/options.js';
import { parseArguments, UsageError, type Grammar } from '../../services/cli/parse-arguments.js';

const GRAMMAR: Grammar = {
  options: {
    steps: option(integer(1, 10), 'steps'),
    emaRate: option(real(0, 1), 'rate'),
    format: option(oneOf(['png', 'webp']), 'format', { fallback: 'png' }),
    seed: option(uint64, 'seed', { fallback: 0n }),
    classes: option(integers, 'classes'),
    address: option(address, 'address', { fallback: '127.0.0.1:1', environment: 'THE_ADDRESS' }),
    json: flag('json'),
  },
  positionals: [{ name: 'MODEL', help: 'a model' }],
  usage: 'ip-diffusion test',
  environment: {},
};

test('values have their kinds, and what is left out has its fallback', (t) => {
  const argv = [
    'm',
    '--steps',
    '3',
    '--ema-rate=0.5',
    '--seed',
    '18446744073709551615',
    '--classes',
    '1,2',
    '--json',
  ];
  t.deepEqual(parseArguments(argv, GRAMMAR), {
    options: {
      steps: 3,
      emaRate: 0.5,
      format: 'png',
      seed: 18446744073709551615n,
      classes: [1, 2],
      address: '127.0.0.1:1',
      json: true,
    },
    positionals: ['m'],
  });
});

test('a flag goes before its variable, a variable before the fallback, and an empty variable is none', (t) => {
  const of = (argv: string[], value: string): unknown =>
    parseArguments(['m', ...argv], { ...GRAMMAR, environment: { THE_ADDRESS: value } }).options['address'];
  t.is(of(['--address', 'a:1'], 'b:2'), 'a:1');
  t.is(of([], 'b:2'), 'b:2');
  t.is(of([], ''), '127.0.0.1:1');
});

const refused: [argv: string[], message: string][] = [
  [['m', '--stesp', '3'], 'unknown option --stesp; did you mean --steps?'],
  [['m', '--qqqqqqqq'], 'unknown option --qqqqqqqq'],
  [['m', '-x'], 'unknown option -x'],
  [['m', '--steps'], '--steps needs a value: an integer from 1 to 10'],
  [['m', '--steps', '--json'], '--steps needs a value: an integer from 1 to 10'],
  [['m', '--steps', '11'], '--steps: wanted an integer from 1 to 10; got "11"'],
  [['m', '--steps', '1.5'], '--steps: wanted an integer from 1 to 10; got "1.5"'],
  [['m', '--steps', ''], '--steps: wanted an integer from 1 to 10; got ""'],
  [['m', '--ema-rate', '-1'], '--ema-rate: wanted a number from 0 to 1; got "-1"'],
  [['m', '--ema-rate', 'NaN'], '--ema-rate: wanted a number from 0 to 1; got "NaN"'],
  [['m', '--format', 'gif'], '--format: wanted one of png, webp; got "gif"'],
  [
    ['m', '--seed', '18446744073709551616'],
    '--seed: wanted an integer from 0 to 2^64 - 1; got "18446744073709551616"',
  ],
  [['m', '--address', 'nowhere'], '--address: wanted an address such as 127.0.0.1:50061; got "nowhere"'],
  [['m', '--json=no'], '--json takes no value'],
  [[], 'missing MODEL: a model'],
  [['m', 'n'], 'unexpected argument "n"'],
];

for (const [argv, message] of refused) {
  test(`${JSON.stringify(argv)} is refused in one line`, (t) => {
    t.throws(() => parseArguments(argv, GRAMMAR), { instanceOf: UsageError, message });
  });
}

test('a wrong variable is named instead of a flag', (t) => {
  const environment = { THE_ADDRESS: 'nowhere' };
  t.throws(() => parseArguments(['m'], { ...GRAMMAR, environment }), { message: /^THE_ADDRESS: wanted/ });
});
