//go:build linux && !amd64

package process

// Calls that this architecture does not have.
const sysPoll, sysSelect = -2, -2
