// Version 5 exports a function by name, version 4 is one.
const strapi = require('@strapi/strapi');

const create = strapi.createStrapi ?? strapi;
create({ appDir: __dirname, distDir: __dirname }).start();
