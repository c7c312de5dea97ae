//go:build linux

package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// rolling is nginx before so many uvicorns.
func (b *bench) rolling(workers int) []spec {
	program := filepath.Join(b.venv, "bin", "uvicorn")
	if _, err := exec.LookPath("nginx"); err != nil || !executable(program) {
		return nil
	}
	return []spec{{
		name: "nginx, uvicorn", args: []string{self(), "rolling", strconv.Itoa(workers), program},
		mark: agentReady, parts: workers, workers: workers,
	}}
}

// newRolling is nginx on descriptor 3, and so many uvicorns behind it, which SIGHUP has
// restarted one after the other.
func newRolling() *cobra.Command {
	return &cobra.Command{
		Use:    "rolling WORKERS UVICORN",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			workers, err := strconv.Atoi(args[0])
			if err != nil {
				return usageError{err}
			}
			again := make(chan os.Signal, 1)
			signal.Notify(again, syscall.SIGHUP)
			var servers []*restarted
			var addresses []string
			for range workers {
				s, err := newRestarted(args[1])
				if err != nil {
					return err
				}
				servers, addresses = append(servers, s), append(addresses, s.addr)
			}
			nginx, err := nginxBefore(addresses...)
			if err != nil {
				return err
			}
			if err := nginx.Start(); err != nil {
				return err
			}
			ended := make(chan error, 1)
			go func() { ended <- nginx.Wait() }()
			for {
				select {
				case err := <-ended:
					return err
				case <-again:
				}
				for _, s := range servers {
					if err := s.restart(cmd.Context()); err != nil {
						return err
					}
				}
			}
		},
	}
}

// restarted is a uvicorn with a port of its own.
type restarted struct {
	program, addr string
	cmd           *exec.Cmd
}

func newRestarted(program string) (*restarted, error) {
	socket, addr, err := listen()
	if err != nil {
		return nil, err
	}
	socket.Close()
	s := &restarted{program: program, addr: addr}
	return s, s.start()
}

func (s *restarted) start() error {
	_, port, _ := strings.Cut(s.addr, ":")
	s.cmd = child(nil, s.program, "--port", port, "--log-level", "warning", "--no-access-log", "app:app")
	return s.cmd.Start()
}

// restart lets it finish, starts it again, and waits until it serves.
func (s *restarted) restart(ctx context.Context) error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	_ = s.cmd.Wait() // however it ends
	if err := s.start(); err != nil {
		return err
	}
	return eventually(ctx, "nobody listens on "+s.addr, func() bool { return dials(s.addr) })
}
