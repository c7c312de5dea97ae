// An application that starts when READY exists, and cannot while FAIL does.
const fs = require("fs");
const http = require("http");

const began = Date.now();
const timer = setInterval(() => {
  if (fs.existsSync(process.env.READY)) {
    clearInterval(timer);
    http.createServer((request, response) => response.end("started\n")).listen({ fd: 3 });
  } else if (fs.existsSync(process.env.FAIL) && Date.now() > began + 1500) {
    console.error("cannot load the model");
    process.exit(1);
  }
}, 10);
