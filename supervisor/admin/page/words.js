'use strict';
const memory = 300, window_ = 10; // seconds that charts show at most, and over which latency is taken
const $ = id => document.getElementById(id);
const put = (node, text) => { text = String(text); if (node.textContent !== text) node.textContent = text; };

// Numbers for people.
const whole = n => Math.round(n).toLocaleString('en');
const number = n => n >= 1e5 ? (n / 1e3).toFixed(0) + 'k' : n >= 1e4 ? (n / 1e3).toFixed(1) + 'k' : n >= 100 || n === Math.round(n) ? whole(n) : n.toFixed(1);
const bytes = n => { let i = 0; while (n >= 1024 && i < 4) { n /= 1024; i++; } return (i && n < 100 && n % 1 ? n.toFixed(1) : n.toFixed(0)) + ' ' + ['B', 'KiB', 'MiB', 'GiB', 'TiB'][i]; };
const short = s => precise(s).replace(/\.0 /, ' ');
const precise = s => s < 0.001 ? (s * 1e6).toFixed(0) + ' µs' : s < 0.01 ? (s * 1e3).toFixed(1) + ' ms' : s < 1 ? (s * 1e3).toFixed(0) + ' ms' : s < 100 ? s.toFixed(1) + ' s' : long(s);
const scale = s => s < 100 ? short(s) : `${s} s`;
const long = s => {
  s = Math.floor(s);
  const d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
  return d ? `${d} d ${h} h` : h ? `${h} h ${m} min` : m ? `${m} min ${s % 60} s` : `${s} s`;
};
