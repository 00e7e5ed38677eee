import { defineConfig } from 'vitest/config';

export default defineConfig({
  build: { ssr: 'src/main.ts', outDir: 'dist-vite', target: 'node20' },
  test: { globals: true, include: ['src/**/*.spec.ts'] },
});
