package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// node is one node of the demo, run as a process of its own.
type node struct {
	ID       bus.NodeID
	Division bus.DivisionCode
	Voter    bool

	dir, peer, api string
	process        *exec.Cmd
	ended          chan struct{} // closed when the process has ended
}

// province is the five nodes: a province, two cities, a county under each.
func province() []*node {
	return []*node{
		{ID: "guangdong", Division: "440000", Voter: true},
		{ID: "guangzhou", Division: "440100", Voter: true},
		{ID: "shenzhen", Division: "440300", Voter: true},
		{ID: "tianhe", Division: "440106"},
		{ID: "nanshan", Division: "440305"},
	}
}

// prepare gives each node a directory and two free ports.
func (s *story) prepare() error {
	for _, n := range s.nodes {
		n.dir = filepath.Join(s.Dir, string(n.ID))
		var err error
		if n.peer, err = freeAddress(); err != nil {
			return err
		}
		if n.api, err = freeAddress(); err != nil {
			return err
		}
	}
	return nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// command runs this program with other arguments and returns what it printed.
func (s *story) command(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, s.Program, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewBufferString(stdin), &out, &errs
	cmd.Env = environment()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("gxbus %s: %w: %s", args[0], err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.Bytes(), nil
}

// environment is ours without GXBUS_*: the demo's nodes are not to be bent by
// what the user has set for a real one.
func environment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		if len(variable) < 6 || variable[:6] != "GXBUS_" {
			kept = append(kept, variable)
		}
	}
	return kept
}

func (s *story) initFirst(ctx context.Context) error {
	first := s.nodes[0]
	out, err := s.command(ctx, "", "init", "--data-dir", first.dir, "--node", string(first.ID), "--division", string(first.Division),
		"--peer-address", first.peer, "--api-address", first.api, "-o", "json")
	if err != nil {
		return err
	}
	return json.Unmarshal(out, &s.oneTime)
}

func (s *story) join(ctx context.Context, n *node) error {
	token, err := s.as("sysadmin").CreateToken(ctx, client.TokenRequest{Node: n.ID, Division: n.Division, Voter: n.Voter})
	if err != nil {
		return err
	}
	_, err = s.command(ctx, token.Token, "join", "--server", s.nodes[0].api, "--data-dir", n.dir, "--node", string(n.ID),
		"--division", string(n.Division), "--peer-address", n.peer, "--api-address", n.api, "-o", "json")
	return err
}

// start runs the node's process; it logs into its directory.
func (s *story) start(n *node) error {
	log, err := os.OpenFile(filepath.Join(s.Dir, string(n.ID)+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(s.Program, "serve", "--data-dir", n.dir, "--peer-listen", n.peer, "--api-listen", n.api, "--checkpoint-interval", "3s")
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, environment()
	cmd.SysProcAttr = attributes()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start node %s: %w", n.ID, err)
	}
	n.process, n.ended = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(n.ended)
	}()
	return nil
}

// kill ends the process as a power cut would.
func (n *node) kill() error {
	if err := n.process.Process.Kill(); err != nil {
		return err
	}
	<-n.ended
	return nil
}

// stopAll ends every process in good order, or after ten seconds without.
func (s *story) stopAll() error {
	var errs []error
	for _, n := range s.nodes {
		if n.process != nil {
			if err := n.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
				errs = append(errs, err)
			}
		}
	}
	patience := time.NewTimer(10 * time.Second)
	defer patience.Stop()
	for _, n := range s.nodes {
		if n.process == nil {
			continue
		}
		select {
		case <-n.ended:
		case <-patience.C:
			errs = append(errs, n.kill())
		}
	}
	return errors.Join(errs...)
}

// client speaks to a node with a bearer.
func (n *node) client(bearer string) (*client.Client, error) {
	return client.New(client.Config{Server: n.api, CAFile: filepath.Join(n.dir, "ca.crt"), Token: bearer})
}

// until tries again and again until do succeeds.
func until(ctx context.Context, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, stepPatience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := do(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", what, err)
		}
	}
}
