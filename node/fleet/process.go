package fleet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Node is one node of a fleet.
type Node struct {
	Spec Spec
	Dir  string // data directory
	Peer string // addresses it listens on
	API  string
	Told string // peer address that others are told; Peer where empty

	// Within is the command that runs another inside the node's host, where that is
	// not this one: a network namespace.
	Within []string

	// Settings are what its process is told beside its flags, as "GXBUS_SYSTEM_RATE=7".
	Settings []string

	fleet   *Fleet
	process *os.Process
	ended   chan struct{} // closed when the process has ended
}

type oneTime struct {
	Account  string `json:"account"`
	Password string `json:"password"`
}

const localhost = "127.0.0.1"

func newNode(f *Fleet, spec Spec) (n *Node, err error) {
	n = &Node{Spec: spec, Dir: filepath.Join(f.dir, string(spec.ID)), fleet: f, ended: make(chan struct{})}
	close(n.ended)
	if n.Peer, err = FreeAddress(localhost); err != nil {
		return nil, err
	}
	n.API, err = FreeAddress(localhost)
	return n, err
}

// addresses are those that were given: a node may not listen on its own yet.
var addresses sync.Map

// FreeAddress finds a port of a host that nobody listens on, another each time. It is below those that
// the system gives to outgoing connections, so that a node which stops and starts
// finds it free again.
func FreeAddress(host string) (string, error) {
	const lowest, highest = 20_000, 32_000
	for range 100 {
		address := net.JoinHostPort(host, strconv.Itoa(lowest+rand.N(highest-lowest)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		if _, given := addresses.LoadOrStore(address, true); !given {
			return address, l.Close()
		}
		if err := l.Close(); err != nil {
			return "", err
		}
	}
	return "", errors.New("find a free port: a hundred were taken")
}

// command runs the program to its end and returns what it printed.
func (n *Node) command(ctx context.Context, stdin string, args ...string) ([]byte, error) {
	cmd := n.inside(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = strings.NewReader(stdin), &out, &errs, environment()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("gxbus %s: %w: %s", args[0], err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.Bytes(), nil
}

// inside makes a command of the program that runs in the node's host.
func (n *Node) inside(ctx context.Context, args ...string) *exec.Cmd {
	line := slices.Concat(n.Within, []string{n.fleet.program}, args)
	return exec.CommandContext(ctx, line[0], line[1:]...)
}

// environment is ours without GXBUS_*: these nodes are not to be bent by what
// the user has set for a real one.
func environment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "GXBUS_") {
			kept = append(kept, variable)
		}
	}
	return kept
}

func (n *Node) founding(command string) []string {
	args := []string{
		command, "--data-dir", n.Dir, "--node", string(n.Spec.ID), "--division", string(n.Spec.Division), "--api-address", n.API, "-o", "json",
	}
	if n.Spec.Relayed {
		return append(args, "--relayed")
	}
	return append(args, "--peer-address", cmp.Or(n.Told, n.Peer))
}

func (n *Node) init(ctx context.Context) (passwords []oneTime, err error) {
	out, err := n.command(ctx, "", n.founding("init")...)
	if err != nil {
		return nil, err
	}
	return passwords, json.Unmarshal(out, &passwords)
}

func (n *Node) join(ctx context.Context, admin *client.Client) error {
	token, err := admin.CreateToken(ctx, client.TokenRequest{Node: n.Spec.ID, Division: n.Spec.Division, Voter: n.Spec.Voter})
	if err != nil {
		return err
	}
	_, err = n.command(ctx, token.Token, append(n.founding("join"), "--server", n.fleet.Node(n.Spec.Through).API)...)
	return err
}

// Start runs the node's process, which logs beside its data directory. It does
// nothing while the process runs.
func (n *Node) Start() error {
	if n.Running() {
		return nil
	}
	log, err := os.OpenFile(n.Dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := n.inside(context.Background(), "serve", "--data-dir", n.Dir, "--peer-listen", n.Peer, "--api-listen", n.API, "--checkpoint-interval", "3s")
	cmd.Stdout, cmd.Stderr, cmd.Env, cmd.SysProcAttr = log, log, append(environment(), n.Settings...), attributes()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start node %s: %w", n.Spec.ID, err)
	}
	ended := make(chan struct{})
	n.process, n.ended = cmd.Process, ended
	go func() {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	return nil
}

// Running reports whether the node's process runs.
func (n *Node) Running() bool {
	select {
	case <-n.ended:
		return false
	default:
		return true
	}
}

// PID is the process id of the node's newest process, 0 before the first.
func (n *Node) PID() int {
	if n.process == nil {
		return 0
	}
	return n.process.Pid
}

// Kill ends the process at once, as the kernel would (SIGKILL), and waits for it.
func (n *Node) Kill() error {
	if !n.Running() {
		return nil
	}
	err := n.process.Kill()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-n.ended
	return nil
}

// Pause stops the process from running (SIGSTOP) until Resume: a machine that
// hangs. Its connections stay open and nobody answers.
func (n *Node) Pause() error { return n.process.Signal(syscall.SIGSTOP) }

// Resume lets a paused process run on.
func (n *Node) Resume() error { return n.process.Signal(syscall.SIGCONT) }

// Stop ends every process in good order, or after ten seconds without.
func (f *Fleet) Stop() error {
	var errs []error
	for _, n := range f.nodes {
		if !n.Running() {
			continue
		}
		if err := n.process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
		}
	}
	timer := time.NewTimer(10 * time.Second)
	defer timer.Stop()
	for _, n := range f.nodes {
		select {
		case <-n.ended:
		case <-timer.C:
			for _, late := range f.nodes {
				errs = append(errs, late.Kill())
			}
		}
	}
	return errors.Join(errs...)
}

// CA is the file of the cluster's root certificate.
func (n *Node) CA() string { return filepath.Join(n.Dir, "ca.crt") }

// Client speaks to the node with a bearer.
func (n *Node) Client(bearer string) (*client.Client, error) {
	return client.New(client.Config{Server: n.API, CAFile: n.CA(), Token: bearer})
}

// System speaks to the node as an agency system.
func (n *Node) System(credential client.NewCredential) (*client.Client, error) {
	return n.Client(credential.Bearer)
}

// ID is the node's id.
func (n *Node) ID() bus.NodeID { return n.Spec.ID }
