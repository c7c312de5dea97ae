// A node server that listens on PORT, as most do.
const http = require("http");

const server = http.createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    response.setHeader("X-Worker-Pid", String(process.pid));
    response.end("hello from behind\n");
  });
});
server.listen(process.env.PORT);
process.on("SIGTERM", () => server.close(() => process.exit(0)));
