'use strict';
// A real master with workers of this package, where a gosuper binary is at hand.

const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');

const BINARY = process.env.TEST_GOSUPER;
const FOREVER = 60_000;
const WITH_MASTER = { skip: !BINARY && 'no TEST_GOSUPER', timeout: 2 * FOREVER };

// A Fleet serves what the text of an application gives to gosuper.listen, on a unix socket.
class Fleet {
  // start resolves when the fleet is ready; settings are lines of supervisor.toml.
  static async start(t, application, settings = '') {
    const fleet = new Fleet();
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'gosuper-node-'));
    fleet.folder = folder;
    fleet.agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    fs.writeFileSync(
      path.join(folder, 'app.cjs'),
      `const http = require('node:http');
const gosuper = require(${JSON.stringify(path.join(__dirname, '..'))});
${application}`,
    );
    fs.writeFileSync(
      path.join(folder, 'supervisor.toml'),
      `command = ${JSON.stringify([process.execPath, 'app.cjs'])}
bind = ["unix:${folder}/http.sock"]
control.socket = "${folder}/control.sock"
log.access_file = "${folder}/access"
${settings}`,
    );
    const log = fs.openSync(path.join(folder, 'log'), 'w');
    fleet.master = spawn(BINARY, ['-c', 'supervisor.toml'], { cwd: folder, stdio: ['ignore', log, log] });
    fs.closeSync(log);
    const ended = once(fleet.master, 'exit');
    t.after(async () => {
      fleet.agent.destroy();
      fleet.master.kill('SIGTERM');
      await ended;
      fs.rmSync(folder, { recursive: true });
    });
    await fleet.until(() => fleet.log().includes('"msg":"ready"'));
    await fleet.until(() => fleet.status().workers.every(({ state }) => state === 'ready'));
    return fleet;
  }

  log() {
    return fs.readFileSync(path.join(this.folder, 'log'), 'utf8');
  }

  access() {
    return fs.readFileSync(path.join(this.folder, 'access'), 'utf8');
  }

  // gosuper is the output of a command about this fleet.
  gosuper(...args) {
    return execFileSync(BINARY, [...args, '-c', 'supervisor.toml'], { cwd: this.folder, encoding: 'utf8' });
  }

  status() {
    return JSON.parse(this.gosuper('status', '--json'));
  }

  get(url, options = {}) {
    return new Promise((resolve, reject) => {
      const ask = { socketPath: `${this.folder}/http.sock`, path: url, agent: this.agent, ...options };
      const sent = http.request(ask, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (piece) => (body += piece));
        response.on('close', () => resolve({ status: response.statusCode, headers: response.headers, body, whole: response.complete }));
        response.on('error', () => {}); // as whole says
      });
      sent.on('error', reject).end();
    });
  }

  // until resolves when a condition holds.
  async until(condition) {
    const end = Date.now() + FOREVER;
    while (!(await condition())) {
      assert.ok(Date.now() < end, this.log());
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

module.exports = { Fleet, WITH_MASTER };
