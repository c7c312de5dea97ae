// An application of Fastify, which listens on each address of localhost.
import Fastify from 'fastify';

const app = Fastify();
app.get('/hang', () => new Promise(() => {}));
app.all('/', (request, reply) => {
  reply.header('X-Worker-Pid', String(process.pid)).send('hello from fastify\n');
});
console.log('listening', await app.listen({ port: 3000 }));
