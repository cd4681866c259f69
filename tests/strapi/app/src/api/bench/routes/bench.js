module.exports = {
  routes: [{ method: 'POST', path: '/bench/empty', handler: 'bench.empty', config: { auth: false } }],
};
