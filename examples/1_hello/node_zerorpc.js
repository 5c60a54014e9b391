// zerorpc from Node.    node node_zerorpc.js [ENDPOINT]        (npm install zerorpc)
const zerorpc = require("zerorpc");

const client = new zerorpc.Client();
client.connect(process.argv[2] || "tcp://127.0.0.1:4243");
client.invoke("add", 88, 77, (error, sum) => {
  console.log(error ? error.message : sum);
  client.invoke("divide", 1, 0, (error) => {
    console.log(`${error.name}: ${error.message}`);
    client.invoke("sql.stream", "SELECT 1 UNION ALL SELECT 2", (error, row, more) => {
      if (row !== undefined) console.log(row);
      if (!more) client.close();
    });
  });
});
