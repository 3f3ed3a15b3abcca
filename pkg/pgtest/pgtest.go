// Package pgtest starts a real PostgreSQL server for a test, in a directory of its
// own. Where none is installed the test is skipped, but in CI, where it fails.
package pgtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Server is a running server.
type Server struct {
	DSN string // of its one database, with a password

	tb       testing.TB
	bin, dir string
	port     string
	as       *syscall.Credential // nil: as whoever tests
}

const (
	patience = 30 * time.Second
	password = "canary-pg-91c2"
)

// Start starts a server, and stops it when the test ends.
func Start(tb testing.TB) *Server {
	tb.Helper()
	bins, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if len(bins) == 0 {
		if os.Getenv("CI") != "" {
			tb.Fatal("no PostgreSQL is installed: .ci/run installs it")
		}
		tb.Skip("SKIPPED: no PostgreSQL is installed below /usr/lib/postgresql")
	}
	s := &Server{tb: tb, bin: bins[len(bins)-1]}
	var err error
	if s.dir, err = os.MkdirTemp("", "gxbus-pg-"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(s.dir) })
	if os.Geteuid() == 0 { // which initdb refuses to be
		s.as = nobody(tb)
		if err := os.Chown(s.dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			tb.Fatal(err)
		}
	}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o644); err != nil {
		tb.Fatal(err)
	}
	s.run("initdb", "-D", s.dir+"/data", "-U", "gxbus", "-A", "scram-sha-256", "--pwfile", secret, "--no-sync", "--locale=C", "-E", "UTF8")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	_, s.port, _ = net.SplitHostPort(listener.Addr().String())
	_ = listener.Close()
	s.DSN = fmt.Sprintf("postgres://gxbus:%s@127.0.0.1:%s/postgres?sslmode=disable", password, s.port)
	s.up()
	tb.Cleanup(s.down)
	return s
}

func nobody(tb testing.TB) *syscall.Credential {
	tb.Helper()
	u, err := user.Lookup("nobody")
	if err != nil {
		tb.Fatal(err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (s *Server) command(program string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, program), args...)
	c.Dir, c.Env = s.dir, append(os.Environ(), "PGPASSWORD="+password, "LC_ALL=C")
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	return c
}

func (s *Server) run(program string, args ...string) string {
	s.tb.Helper()
	out, err := s.command(program, args...).CombinedOutput()
	if err != nil {
		s.tb.Fatalf("%s: %v\n%s", program, err, out)
	}
	return string(out)
}

func (s *Server) up() {
	s.tb.Helper()
	options := fmt.Sprintf("-p %s -k %s -c listen_addresses=127.0.0.1 -c fsync=off -c shared_buffers=16MB", s.port, s.dir)
	s.run("pg_ctl", "start", "-w", "-t", strconv.Itoa(int(patience.Seconds())), "-D", s.dir+"/data", "-l", s.dir+"/log", "-o", options)
}

func (s *Server) down() {
	s.tb.Helper()
	s.run("pg_ctl", "stop", "-m", "immediate", "-w", "-D", s.dir+"/data")
}

// Restart kills the server and starts it again.
func (s *Server) Restart() {
	s.tb.Helper()
	s.down()
	s.up()
}

// SQL runs statements, and returns what they print.
func (s *Server) SQL(statements string) string {
	s.tb.Helper()
	return strings.TrimSpace(s.run("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", s.port, "-U", "gxbus", "-d", "postgres", "-c", statements))
}
