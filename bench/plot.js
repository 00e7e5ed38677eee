// @ts-check
import * as echarts from 'echarts';

/** Placeholders for what the style below turns into a colour of the reader's mode. */
const TEXT = '#111111';
const LINE = '#cccccc';
const OURS = '#2f6fde';
const OTHERS = '#8a94a6';

const STYLE = `<style>
  text { font-family: system-ui, sans-serif }
  @media (prefers-color-scheme: dark) {
    [fill="${TEXT}"] { fill: #e6e6e6 }
    [stroke="${LINE}"] { stroke: #555555 }
    [stroke="${TEXT}"] { stroke: #e6e6e6 }
    [fill="${OURS}"] { fill: #6ea8fe }
  }
</style>`;

const WIDTH = 760;
const ROW = 34;

/** A bar for each median, a whisker from the least to the most. @param {import('./results.js').TableResult} table */
export function renderPlot({ title, rows }) {
  const names = rows.map(({ name }) => name);
  const height = 90 + rows.length * ROW;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  const text = { color: TEXT, fontSize: 12 };
  chart.setOption({
    animation: false,
    title: { text: title, textStyle: { ...text, fontSize: 14 }, left: 8, top: 8 },
    grid: { left: 40, right: 110, top: 44, bottom: 16, containLabel: true },
    xAxis: { type: 'value', axisLabel: text, splitLine: { lineStyle: { color: LINE } } },
    yAxis: {
      type: 'category',
      inverse: true,
      data: names,
      axisLabel: { ...text, width: 300, overflow: 'break' },
      axisLine: { lineStyle: { color: LINE } },
      axisTick: { show: false },
    },
    series: [
      {
        type: 'bar',
        barMaxWidth: 20,
        data: rows.map(({ name, median }) => ({
          value: median,
          itemStyle: { color: name.startsWith('nestjs-pgpubsub') ? OURS : OTHERS },
        })),
      },
      {
        type: 'custom',
        renderItem: (/** @type {any} */ of, /** @type {any} */ api) => whisker(api, rows[of.dataIndex]),
        encode: { x: [1, 2], y: 0 },
        data: rows.map(({ min, max }, index) => [index, min, max]),
      },
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return `${svg.replace('>', `>${STYLE}`)}\n`;
}

/** From the least to the most, and the figures behind it. @param {any} api @param {import('./measure.js').Row | undefined} row */
function whisker(api, row) {
  const [from, to] = [1, 2].map((dimension) => api.coord([api.value(dimension), api.value(0)]));
  const style = { stroke: TEXT, lineWidth: 1, fill: 'none' };
  const line = (
    /** @type {number} */ x1,
    /** @type {number} */ y1,
    /** @type {number} */ x2,
    /** @type {number} */ y2,
  ) => ({
    type: 'line',
    shape: { x1, y1, x2, y2 },
    style,
  });
  return {
    type: 'group',
    children: [
      {
        type: 'text',
        style: {
          text: row && `${short(row.median)}  (${row.ratio.toFixed(2)})`,
          x: to[0] + 10,
          y: to[1],
          fill: TEXT,
          fontSize: 12,
          verticalAlign: 'middle',
        },
      },
      line(from[0], from[1], to[0], to[1]),
      line(from[0], from[1] - 4, from[0], from[1] + 4),
      line(to[0], to[1] - 4, to[0], to[1] + 4),
    ],
  };
}

/** @param {number} value */
const short = (value) =>
  value >= 10_000 ? `${Math.round(value / 1_000)}k` : Number(value.toPrecision(3)).toLocaleString('en');
