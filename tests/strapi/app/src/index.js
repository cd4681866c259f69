const fs = require('node:fs');

// A token as an administrator would make it in the browser, handed to the tests in a file.
const make = async (strapi, type) => {
  const made = await strapi
    .service('admin::api-token')
    .create({ name: type, description: '', type, lifespan: null });
  return made.accessKey;
};

module.exports = {
  async bootstrap({ strapi }) {
    const tokens = { full: await make(strapi, 'full-access'), reading: await make(strapi, 'read-only') };
    fs.writeFileSync(process.env.TOKENS_FILE, JSON.stringify(tokens));
  },
};
