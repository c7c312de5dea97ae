// An application of Express as its guide has it, with the handler of SIGTERM that it recommends.
const http = require('node:http');
const express = require('express');

const app = express();
app.use(express.json());
app.get('/hang', () => {});
app.all('/', (request, response) => {
  response.set('X-Worker-Pid', String(process.pid)).send('hello from express\n');
});
const server = app.listen(process.env.PORT || 3000, () => {
  http.createServer(app).listen(0, '127.0.0.1').unref(); // the program's own, as one for metrics is
});
process.on('SIGTERM', () => server.close(() => console.log('closed')));
