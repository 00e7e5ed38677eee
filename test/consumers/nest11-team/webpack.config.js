const TerserPlugin = require('terser-webpack-plugin');

/** One bundle per program: application, `pgpubsub listen`, `pgpubsub check`. */
module.exports = (options) => ({
  ...options,
  entry: {
    main: './src/main.ts',
    'app.module': './src/app.module.ts',
    'data-source': './src/data-source.ts',
  },
  output: { filename: '[name].js', library: { type: 'commonjs2' } },
  optimization: {
    minimize: true,
    minimizer: [
      new TerserPlugin({
        terserOptions: { keep_classnames: true, keep_fnames: true },
      }),
    ],
  },
});
