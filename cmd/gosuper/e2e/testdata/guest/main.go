//go:build linux

// Command guest is the init of a virtual machine that runs one program: it makes
// of a bare kernel what programs expect, cgroups v2 included, runs /test/run with
// the arguments in the file /test/args, one a line, and switches the machine off.
package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	fmt.Println("exit status:", run())
	unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
}

func run() any {
	for _, m := range []struct{ kind, at string }{
		{"devtmpfs", "/dev"}, {"proc", "/proc"}, {"sysfs", "/sys"}, {"cgroup2", "/sys/fs/cgroup"}, {"tmpfs", "/run"}, {"tmpfs", "/tmp"},
	} {
		if err := os.MkdirAll(m.at, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, m.at, m.kind, 0, ""); err != nil {
			return fmt.Errorf("cannot mount %s: %w", m.at, err)
		}
	}
	if err := os.WriteFile("/sys/fs/cgroup/cgroup.subtree_control", []byte("+memory"), 0); err != nil {
		return err
	}
	if err := up("lo"); err != nil {
		return fmt.Errorf("cannot switch the loopback on: %w", err)
	}
	args, err := os.ReadFile("/test/args")
	if err != nil {
		return err
	}
	cmd := exec.Command("/test/run", strings.Split(strings.TrimSpace(string(args)), "\n")...)
	cmd.Stdout, cmd.Stderr, cmd.Dir = os.Stdout, os.Stdout, "/test"
	cmd.Env = []string{"PATH=/test", "HOME=/tmp", "CI=true"}
	if err := cmd.Run(); cmd.ProcessState == nil {
		return err
	}
	return cmd.ProcessState.ExitCode()
}

// up switches a network interface on.
func up(name string) error {
	if _, err := net.InterfaceByName(name); err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request)
}
