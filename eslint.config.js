// Lint rules: typescript-eslint's strictest type-checked set, and the project's rule on hidden inputs.
import tseslint from 'typescript-eslint';

const HIDDEN_INPUT =
  'comes in through foundation or a service’s config.ts, so that runs repeat and tests can set it';

export default tseslint.config(
  {
    ignores: [
      '.setup/',
      '**/node_modules/',
      'dist/',
      '**/generated/',
      '**/generated.*/',
      'demo-output/',
      'coverage/',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', '.*.cjs', 'deploy/setup/*.mjs'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // A number in a message is as plain as its text.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // `callUnary(client, client.getModel, ...)` names a method and calls it on its client.
      '@typescript-eslint/unbound-method': 'off',
      // A namespace of types alone, beside a value of the same name.
      '@typescript-eslint/no-namespace': ['error', { allowDeclarations: true }],
      // `while (true)` is the plain form of a loop that only `return` leaves.
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
    },
  },
  {
    files: ['shared/**/*.ts', 'services/**/*.ts'],
    ignores: ['shared/foundation/**', 'services/*/config.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: `Randomness ${HIDDEN_INPUT}.` },
        { object: 'Date', property: 'now', message: `Time ${HIDDEN_INPUT}.` },
        { object: 'process', property: 'env', message: `The environment ${HIDDEN_INPUT}.` },
      ],
    },
  },
  { files: ['**/*.js', '**/*.cjs', '**/*.mjs'], ...tseslint.configs.disableTypeChecked },
);
