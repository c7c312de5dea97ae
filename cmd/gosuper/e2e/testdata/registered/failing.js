// A server that fails in the first worker, and asks to be replaced for reasons of its own.
const http = require('node:http');
const gosuper = require('gosuper');

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://x');
  if (url.pathname === '/recycle') gosuper.recycle(url.searchParams.get('why'));
  const fails = url.pathname === '/answer' && process.env.WHO === '1';
  response.writeHead(fails ? 500 : 200, { 'x-worker-pid': process.pid }).end();
});
gosuper.listen(server);
