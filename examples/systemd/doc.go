// Package systemd is unit files to copy, and the test that runs them under a
// systemd of their own.
package systemd
