// @ts-check
import theme from 'vitepress/theme-without-fonts'; // the fonts of the system: nothing to load
import './site.css';

export default theme;
