// A node server that knows nothing but that descriptor 3 is a listening socket.
const http = require("http");

const server = http.createServer((request, response) => {
  response.setHeader("X-Worker-Pid", String(process.pid));
  response.end("hello from node\n");
});
server.listen({ fd: 3 });
process.on("SIGTERM", () => server.close(() => process.exit(0)));
