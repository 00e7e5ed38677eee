const TerserPlugin = require('terser-webpack-plugin');

/** A bundle for each program: the application, its module for `pgpubsub listen`, its data source for `pgpubsub check`. */
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
    minimizer: [new TerserPlugin({ terserOptions: { keep_classnames: true, keep_fnames: true } })],
  },
});
