package signin_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/raced"
	"github.com/gxbus/gxbus/pkg/signin"
	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) {
	raced.FewerChecks()
	goleak.VerifyTestMain(m)
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// testing is what a test and a rapid test have in common.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// node is a memory with a clock, which can die and come back.
type node struct {
	t    tester
	dir  string
	life int
	now  time.Time
	*signin.Memory
}

func start(t tester, dir string) *node {
	n := &node{t: t, dir: dir, now: noon}
	n.open()
	return n
}

func (n *node) path() string { return filepath.Join(n.dir, fmt.Sprint("signin-", n.life, ".db")) }

func (n *node) open() {
	n.t.Helper()
	var err error
	n.Memory, err = signin.Open(n.path(), func() time.Time { return n.now }, func(err error) { n.t.Fatal(err) })
	if err != nil {
		n.t.Fatal(err)
	}
}

// crash goes on with what is on the disk now, as after a kill -9.
func (n *node) crash() {
	n.t.Helper()
	data, err := os.ReadFile(n.path())
	if err != nil {
		n.t.Fatal(err)
	}
	n.stop()
	n.life++
	if err := os.WriteFile(n.path(), data, 0o600); err != nil {
		n.t.Fatal(err)
	}
	n.open()
}

func (n *node) stop() {
	n.t.Helper()
	if err := n.Close(); err != nil {
		n.t.Fatal(err)
	}
}

// guess tries a sign-in; it reports whether it was let try.
func (n *node) guess(account, address string, right bool) (tried bool, began []signin.Lock) {
	n.t.Helper()
	attempt, wait := n.Begin(account, address)
	if (attempt == nil) != (wait > 0) {
		n.t.Fatalf("an attempt %v, to wait %v", attempt, wait)
	}
	if attempt == nil {
		return false, nil
	}
	var err error
	if right {
		err = attempt.Succeeded(account)
	} else {
		began, err = attempt.Failed()
	}
	if err != nil {
		n.t.Fatal(err)
	}
	return true, began
}

func TestFiveFailuresLockAnAccountWhereTheyCameFrom(t *testing.T) {
	n := start(t, t.TempDir())
	defer func() { n.stop() }()
	for i := range signin.FailuresHere {
		tried, began := n.guess("auditor", "10.0.0.1", false)
		if !tried || (len(began) > 0) != (i == signin.FailuresHere-1) {
			t.Fatalf("failure %d: let %v, locks %v", i+1, tried, began)
		}
	}
	n.crash() // the lock is on the disk
	if tried, _ := n.guess("auditor", "10.0.0.1", true); tried {
		t.Error("the right password is tried while it is locked")
	}
	if tried, _ := n.guess("auditor", "10.0.0.2", true); !tried {
		t.Error("locked elsewhere too")
	}
	if tried, _ := n.guess("sysadmin", "10.0.0.1", true); !tried {
		t.Error("another account is locked too")
	}
	n.now = n.now.Add(signin.LockFor - time.Second)
	if tried, _ := n.guess("auditor", "10.0.0.1", true); tried {
		t.Error("open before its time")
	}
	n.now = n.now.Add(time.Second)
	if tried, _ := n.guess("auditor", "10.0.0.1", true); !tried {
		t.Error("locked beyond its time")
	}
}

// Whoever knows all names and has many addresses shuts nobody out of where they work.
func TestNobodyIsLockedOutOfAKnownAddressByOthers(t *testing.T) {
	n := start(t, t.TempDir())
	defer func() { n.stop() }()
	n.guess("sysadmin", "10.0.0.1", true)
	locked := false
	for i := range 100 {
		tried, _ := n.guess("sysadmin", fmt.Sprint("192.0.2.", i), false)
		locked = locked || !tried
		n.guess(fmt.Sprint("nobody-", i), "10.0.0.1", false)
	}
	if !locked {
		t.Error("a hundred addresses guess on")
	}
	n.crash()
	for _, c := range []struct {
		account, address string
		want             bool
	}{
		{"sysadmin", "10.0.0.1", true},     // it works here
		{"sysadmin", "loopback", true},     // the node's own machine
		{"secadmin", "loopback", true},     // likewise
		{"sysadmin", "10.9.9.9", false},    // it never was here
		{"secadmin", "10.0.0.1", false},    // nor this one here, from where all the guesses came
		{"secadmin", "10.0.0.33", true},    // nothing was guessed
		{"nobody-1", "10.0.0.33", true},    // an unknown account is as a known one
		{"a name\x00x", "10.0.0.1", false}, // no name: its address counts
	} {
		attempt, _ := n.Begin(c.account, c.address)
		if got := attempt != nil; got != c.want {
			t.Errorf("%q from %s is let: %v", c.account, c.address, got)
		}
	}
	n.now = n.now.Add(signin.KnownFor)
	for i := range signin.FailuresAccount {
		n.guess("sysadmin", fmt.Sprint("192.0.2.", i), false)
	}
	if tried, _ := n.guess("sysadmin", "10.0.0.1", true); tried {
		t.Error("an address is known for ever")
	}
}

func TestManyGuessesAtOnceAreNoMoreThanInARow(t *testing.T) {
	n := start(t, t.TempDir())
	defer func() { n.stop() }()
	var let atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if attempt, _ := n.Begin("auditor", "10.0.0.1"); attempt != nil {
				let.Add(1)
				if _, err := attempt.Failed(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if let.Load() != signin.FailuresHere {
		t.Errorf("%d of 50 guesses at once were let", let.Load())
	}
	let.Store(0)
	for range 50 { // all begin before any ends
		if attempt, _ := n.Begin("secadmin", "10.0.0.9"); attempt != nil {
			let.Add(1)
		}
	}
	if let.Load() != signin.FailuresHere {
		t.Errorf("%d of 50 guesses that were never told of were let", let.Load())
	}
	abandoned, _ := n.Begin("sysadmin", "10.0.0.1")
	abandoned.Abandoned()
	if tried, _ := n.guess("sysadmin", "10.0.0.1", true); !tried {
		t.Error("an attempt that came to nothing counts")
	}
}

func TestOrigin(t *testing.T) {
	for remote, want := range map[string]string{
		"10.0.0.1:99":               "10.0.0.1",
		"[::ffff:10.0.0.1]:99":      "10.0.0.1",
		"127.0.0.1:99":              "loopback",
		"[::1]:99":                  "loopback",
		"[2001:db8:1:2:3:4:5:6]:99": "2001:db8:1:2::/64",
		"[fe80::1%eth0]:99":         "fe80::/64",
		"":                          "unknown",
		"10.0.0.1":                  "unknown",
		"somebody, 127.0.0.1:99":    "unknown",
	} {
		if got := signin.Origin(remote); got != want {
			t.Errorf("%q is from %q, want %q", remote, got, want)
		}
	}
}

// A guesser never gets more than the limit of failures within a window, and who is
// refused has cause to be: whatever is tried, in whatever order, over crashes.
func TestLockoutProperty(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		lives, err := os.MkdirTemp(dir, "")
		if err != nil {
			rt.Fatal(err)
		}
		n := start(rt, lives)
		defer func() { n.stop() }()
		accounts, addresses := []string{"a", "b"}, []string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "loopback"}
		failed, known := map[string][]time.Time{}, map[string]bool{}
		within := func(key string, span time.Duration) (count int) {
			for _, at := range failed[key] {
				if n.now.Sub(at) < span {
					count++
				}
			}
			return count
		}
		for range rapid.IntRange(1, 120).Draw(rt, "steps") {
			account, address := rapid.SampledFrom(accounts).Draw(rt, "account"), rapid.SampledFrom(addresses).Draw(rt, "address")
			pair := account + "@" + address
			works := known[pair] || address == "loopback"
			switch rapid.IntRange(0, 30).Draw(rt, "what") {
			case 0:
				n.crash()
				continue
			case 1, 2:
				n.now = n.now.Add(time.Duration(rapid.IntRange(1, 1200).Draw(rt, "seconds")) * time.Second)
				continue
			case 3:
				if tried, _ := n.guess(account, address, true); tried {
					failed[pair], known[pair] = nil, true
				} else if over := within(pair, signin.Window+signin.LockFor); works && over < signin.FailuresHere {
					rt.Fatalf("%s is refused where it works, after %d failures", pair, over)
				}
				continue
			}
			if tried, _ := n.guess(account, address, false); !tried {
				span := signin.Window + signin.LockFor
				if within(pair, span) < signin.FailuresHere && (works || within(address, span) < signin.FailuresAddress && within(account, span) < signin.FailuresAccount) {
					rt.Fatalf("%s is refused without cause", pair)
				}
				continue
			}
			keys := []string{pair}
			if !works {
				keys = append(keys, address, account)
			}
			for _, key := range keys {
				failed[key] = append(failed[key], n.now)
			}
			if within(pair, signin.Window) > signin.FailuresHere || within(address, signin.Window) > signin.FailuresAddress || within(account, signin.Window) > signin.FailuresAccount {
				rt.Fatalf("one guess too many at %s", pair)
			}
		}
	})
}

// No signed request is accepted twice, or outside of its time, whatever the clock
// does and however often the node dies; one that is fresh and new is accepted.
func TestReplayProperty(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		lives, err := os.MkdirTemp(dir, "")
		if err != nil {
			rt.Fatal(err)
		}
		n := start(rt, lives)
		defer func() { n.stop() }()
		accepted, signed := map[string]bool{}, map[string]time.Time{}
		highest, boot := n.now, time.Time{}
		newest := map[string]time.Time{}
		var names []string
		for step := range rapid.IntRange(1, 80).Draw(rt, "steps") {
			switch rapid.IntRange(0, 12).Draw(rt, "what") {
			case 0:
				n.crash()
				for _, at := range newest {
					boot = later(boot, at)
				}
				continue
			case 1:
				n.now = n.now.Add(time.Duration(rapid.IntRange(-400, 400).Draw(rt, "seconds")) * time.Second)
				highest = later(highest, n.now)
				continue
			}
			name := fmt.Sprint(rapid.SampledFrom([]string{"k1", "k2"}).Draw(rt, "key"), "/", step)
			at := n.now.Add(time.Duration(rapid.IntRange(-320, 320).Draw(rt, "off")) * time.Second)
			if len(names) > 0 && rapid.Bool().Draw(rt, "again") {
				name = rapid.SampledFrom(names).Draw(rt, "name")
				at = signed[name]
			}
			names, signed[name] = append(names, name), at
			off := at.Sub(n.now).Abs()
			err := n.Accept(name[:2], name, at)
			switch {
			case err == nil && accepted[name]:
				rt.Fatalf("%s is accepted twice", name)
			case err == nil && off > signin.Skew:
				rt.Fatalf("%s is accepted %v off", name, off)
			case err == nil:
				accepted[name] = true
				newest[name[:2]] = later(newest[name[:2]], at)
			case !accepted[name] && off < signin.Skew && n.now.Equal(highest) && at.After(boot.Add(2*time.Second)):
				rt.Fatalf("%s, %v off, is refused: %v", name, off, err)
			}
		}
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func TestOfARequestThatComesManyTimesAtOnceOneIsAccepted(t *testing.T) {
	n := start(t, t.TempDir())
	defer func() { n.stop() }()
	var accepted atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if n.Accept("k", "once", noon) == nil {
				accepted.Add(1)
			}
		})
	}
	for i := range 50 { // and others go along in the same writes
		all.Go(func() {
			if err := n.Accept("k", fmt.Sprint(i), noon.Add(time.Duration(i)*time.Second)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if accepted.Load() != 1 {
		t.Errorf("accepted %d times", accepted.Load())
	}
	n.crash()
	for i := range 50 {
		if n.Accept("k", fmt.Sprint(i), noon.Add(time.Duration(i)*time.Second)) == nil {
			t.Errorf("%d is accepted again after a crash", i)
		}
	}
	if err := n.Accept("k", "before", noon); bus.CodeOf(err) != bus.CodeUnavailable {
		t.Errorf("signed before the crash: %v", err)
	}
	if err := n.Accept("other", "first", noon); err != nil {
		t.Errorf("another key waits too: %v", err)
	}
}

func TestUsesAreKept(t *testing.T) {
	n := start(t, t.TempDir())
	defer func() { n.stop() }()
	n.Used("permits", "first", noon)
	n.stop()
	n.open()
	if at := n.LastUse("permits", "first"); !at.Equal(noon) {
		t.Errorf("last used %v", at)
	}
	if at := n.LastUse("permits", "second"); !at.IsZero() {
		t.Errorf("never used, and it was %v", at)
	}
}

func TestAnotherFileIsNotTakenForAMemory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signin.db")
	if err := os.WriteFile(path, []byte("not a database, but long enough to look like something"), 0o600); err != nil {
		t.Fatal(err)
	}
	if m, err := signin.Open(path, time.Now, func(error) {}); err == nil {
		t.Error(errors.Join(errors.New("opened"), m.Close()))
	}
}
