export { default } from 'alpinejs';
