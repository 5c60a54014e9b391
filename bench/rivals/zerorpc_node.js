// Rival: the same `add` on zerorpc-node's server.
const zerorpc = require("zerorpc");

const server = new zerorpc.Server({
  add(a, b, reply) {
    reply(null, a + b);
  },
});
server.bind(process.argv[2]);
