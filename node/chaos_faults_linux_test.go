package main_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
)

const (
	chaosReserve = 8 << 20 // bytes that nodes keep free on their disks
	chaosDisk    = 4 << 30 // bytes of a disk that has not shrunk
)

// shrinking is a disk whose size can be changed while it is in use.
type shrinking struct{ dir string }

// onShrinking puts the data of a node on such a disk, where one can be mounted.
func (c *chaos) onShrinking(n *fleet.Node) {
	c.t.Helper()
	d := &shrinking{dir: c.t.TempDir()}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprint("size=", chaosDisk), "tmpfs", d.dir).CombinedOutput(); err != nil {
		c.t.Logf("SKIPPED: no disk of %s fills up, mounting one needs root: %v %s", n.ID(), err, out)
		return
	}
	c.t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", d.dir).CombinedOutput(); err != nil {
			c.t.Error(err, string(out))
		}
	})
	n.Dir = filepath.Join(d.dir, string(n.ID()))
	c.disks[n.ID()] = d
}

// resize gives the disk so many bytes.
func (d *shrinking) resize(bytes uint64) error {
	if out, err := exec.Command("mount", "-o", fmt.Sprint("remount,size=", bytes), d.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// leave takes all room but some bytes. What is written meanwhile is in the way: it is
// tried again.
func (d *shrinking) leave(free uint64) error {
	var err error
	for range 20 {
		var s syscall.Statfs_t
		if err := syscall.Statfs(d.dir, &s); err != nil {
			return err
		}
		if err = d.resize((s.Blocks-s.Bfree)*uint64(s.Bsize) + free); err == nil {
			return nil
		}
	}
	return err
}

// fault does something bad to a node and returns what undoes it.
type fault struct {
	name string
	do   func(c *chaos, victim *fleet.Node) (undo func() error)
}

func (c *chaos) between(low, high time.Duration) time.Duration {
	return low + time.Duration(c.choice.Int64N(int64(high-low)))
}

var faults = []fault{
	{"kill", func(c *chaos, victim *fleet.Node) func() error {
		must(c.t, victim.Kill())
		return victim.Start
	}},
	{"kill and start at once", func(c *chaos, victim *fleet.Node) func() error {
		must(c.t, victim.Kill())
		must(c.t, victim.Start())
		return func() error { return nil }
	}},
	{"pause", func(c *chaos, victim *fleet.Node) func() error {
		must(c.t, victim.Pause())
		return victim.Resume
	}},
	{"isolate", func(c *chaos, victim *fleet.Node) func() error {
		for _, other := range c.Nodes() {
			if other != victim {
				c.links.Cut(c.hosts[victim.ID()], c.hosts[other.ID()])
			}
		}
		return c.heal
	}},
	{"cut", func(c *chaos, victim *fleet.Node) func() error {
		others := slices.DeleteFunc(slices.Clone(c.Nodes()), func(n *fleet.Node) bool { return n == victim })
		c.links.Cut(c.hosts[victim.ID()], c.hosts[others[c.choice.IntN(len(others))].ID()])
		return c.heal
	}},
	{"slow", func(c *chaos, victim *fleet.Node) func() error {
		slow := func(d time.Duration) {
			for _, other := range c.Nodes() {
				c.links.Delay(c.hosts[victim.ID()], c.hosts[other.ID()], d)
				c.links.Delay(c.hosts[other.ID()], c.hosts[victim.ID()], d/3)
			}
		}
		slow(c.between(20*time.Millisecond, 400*time.Millisecond))
		return func() error { slow(0); return nil }
	}},
	{"a full disk", func(c *chaos, victim *fleet.Node) func() error {
		d := c.disks[victim.ID()]
		must(c.t, d.leave([]uint64{0, 32 << 10, 1 << 20, chaosReserve / 2}[c.choice.IntN(4)]))
		return func() error { return d.resize(chaosDisk) }
	}},
	{"kill on a full disk", func(c *chaos, victim *fleet.Node) func() error {
		d := c.disks[victim.ID()]
		must(c.t, d.leave([]uint64{0, 32 << 10, 1 << 20}[c.choice.IntN(3)]))
		pause(c.ctx, c.between(100*time.Millisecond, time.Second))
		must(c.t, victim.Kill())
		must(c.t, victim.Start()) // it may end for want of room
		return func() error {
			if err := d.resize(chaosDisk); err != nil {
				return err
			}
			return c.revive(victim)
		}
	}},
	{"a webhook that refuses", func(c *chaos, _ *fleet.Node) func() error {
		c.hook.refusing.Store(true)
		return func() error { c.hook.refusing.Store(false); return nil }
	}},
}

func (c *chaos) heal() error {
	c.links.HealAll()
	return nil
}

// revive starts a node until it serves, as whatever watches over its process would.
func (c *chaos) revive(n *fleet.Node) error {
	api, err := n.Client("")
	if err != nil {
		return err
	}
	defer api.Close()
	return fleet.Until(c.ctx, "the node to serve again", func(ctx context.Context) error {
		if err := n.Start(); err != nil {
			return err
		}
		_, err := api.Version(ctx)
		return err
	})
}

// storm makes faults for a while, each round one or two of different nodes.
func (c *chaos) storm(long time.Duration) {
	c.t.Helper()
	for begun := time.Now(); time.Since(begun) < long; {
		var undo []func() error
		var said []string
		victims := c.choice.Perm(len(c.Nodes()))[:1+c.choice.IntN(2)]
		for _, v := range victims {
			victim := c.Nodes()[v]
			f := faults[c.choice.IntN(len(faults))]
			for c.disks[victim.ID()] == nil && (f.name == "a full disk" || f.name == "kill on a full disk") {
				f = faults[c.choice.IntN(len(faults))]
			}
			undo = append(undo, f.do(c, victim))
			said = append(said, fmt.Sprint(f.name, " ", victim.ID()))
			c.faults[f.name]++
		}
		c.t.Logf("%5.1fs %v", time.Since(begun).Seconds(), said)
		pause(c.ctx, c.between(300*time.Millisecond, 5*time.Second))
		for _, u := range undo {
			must(c.t, u())
		}
		c.allRun(said)
		pause(c.ctx, c.between(200*time.Millisecond, 2*time.Second))
	}
}

// allRun demands that no node ended by itself.
func (c *chaos) allRun(said []string) {
	c.t.Helper()
	for _, n := range c.Nodes() {
		if !n.Running() {
			log, _ := os.ReadFile(n.Dir + ".log")
			c.t.Fatalf("%v: node %s ended by itself:\n%s", said, n.ID(), log[max(0, len(log)-2000):])
		}
	}
}
