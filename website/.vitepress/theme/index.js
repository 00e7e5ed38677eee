// @ts-check
import theme from 'vitepress/theme-without-fonts'; // system fonts: nothing to load
import './site.css';

export default theme;
