// Rival: the same `add` on zerorpc-node's server.
const zerorpc = require("zerorpc");

const server = new zerorpc.Server({
  // zerorpc-node reads a method's source for its arguments and knows only this spelling.
  add: function (a, b, reply) {
    reply(null, a + b);
  },
});
server.bind(process.argv[2]);
