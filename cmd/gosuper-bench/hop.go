//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// hopped is a scenario that also weighs what stands before the program: gosuper's front, or
// nginx.
func hopped(run func(context.Context, *bench, *target) (sample, error)) func(context.Context, *bench, *target) (sample, error) {
	return func(ctx context.Context, b *bench, t *target) (sample, error) {
		s, err := run(ctx, b, t)
		hop := slices.DeleteFunc(family(t.roots()...), func(s stat) bool {
			words, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", s.pid)) // nothing of one that has ended
			return !bytes.HasPrefix(words, []byte("gosuper: proxy")) && !bytes.HasPrefix(words, []byte("nginx: "))
		})
		if err != nil || len(hop) == 0 {
			return s, err
		}
		_, proportional := memory(hop)
		return append(s, size("PSS of the hop", proportional)), nil
	}
}

// nginx is a bare agent behind nginx, with as many processes as behind a front.
func (b *bench) nginx() []spec {
	if _, err := exec.LookPath("nginx"); err != nil {
		return nil
	}
	return []spec{{name: "nginx", args: []string{self(), "nginx"}, copies: 1, mark: agentReady, parts: 1, workers: 1}}
}

// site is what nginx needs to be a hop as good as it can: kept connections to the
// programs, of which none is left out for having failed, nothing held back, and no log.
const site = `daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
events { worker_connections 4096; }
http {
	access_log off; keepalive_requests 1000000000;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	upstream program { PROGRAMS keepalive 256; keepalive_requests 1000000000; }
	server {
		listen LISTEN;
		location / {
			proxy_pass http://program; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
			proxy_next_upstream error timeout;
		}
	}
}
`

// nginxBefore is nginx on descriptor 3 before programs at these addresses.
func nginxBefore(programs ...string) (*exec.Cmd, error) {
	name, err := unix.Getsockname(3)
	if err != nil {
		return nil, fmt.Errorf("cannot serve descriptor 3: %w", err)
	}
	dir, err := os.MkdirTemp(".", "nginx")
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	servers := ""
	for _, program := range programs {
		servers += fmt.Sprintf("server %s max_fails=0; ", program)
	}
	front := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(strings.NewReplacer("PROGRAMS", servers, "LISTEN", front).Replace(site)), 0o600); err != nil {
		return nil, err
	}
	cmd := child(os.NewFile(3, "socket"), "nginx", "-e", "stderr", "-p", dir, "-c", file)
	cmd.Env = append(os.Environ(), "NGINX=3;")
	return cmd, nil
}

// newNginx is nginx on descriptor 3 and a bare agent behind it.
func newNginx() *cobra.Command {
	return &cobra.Command{
		Use:    "nginx",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			socket, program, err := listen()
			if err != nil {
				return err
			}
			if err := child(socket, self(), "agent", "--bare").Start(); err != nil {
				return err
			}
			cmd, err := nginxBefore(program)
			if err != nil {
				return err
			}
			return cmd.Run()
		},
	}
}

// child is a command whose descriptor 3 is the socket, nil for none, and that ends with this
// program. It must be started on the main goroutine.
func child(socket *os.File, words ...string) *exec.Cmd {
	cmd := exec.Command(words[0], words[1:]...)
	if socket != nil {
		cmd.ExtraFiles = []*os.File{socket}
	}
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}
