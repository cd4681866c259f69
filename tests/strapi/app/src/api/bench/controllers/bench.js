// Between two tests: every row of every collection goes.
module.exports = {
  async empty(ctx) {
    for (const uid of Object.keys(strapi.contentTypes).filter((name) => name.startsWith('api::'))) {
      await strapi.db.query(uid).deleteMany({});
    }
    ctx.body = {};
  },
};
