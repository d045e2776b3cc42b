import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    ignores: [
      '**/dist',
      'test',
      'fixtures',
      'client/reference',
      'guide/src',
      'guide/.vitepress/cache',
      'client/src/openapi.ts',
      'examples/vue',
    ],
  },
  js.configs.recommended,
  {
    files: ['client/{src,test}/**/*.{ts,tsx}', 'examples/**/*.{ts,tsx}'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/only-throw-error': 'off', // an AbortSignal's reason is thrown as it is
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: {
      globals: { process: 'readonly', console: 'readonly', URL: 'readonly', fetch: 'readonly', Buffer: 'readonly' },
    },
  },
);
