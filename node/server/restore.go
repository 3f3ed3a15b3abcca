package server

import (
	"bytes"
	"cmp"
	"crypto/cipher"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/backup"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/consensus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/storage"
	"go.etcd.io/bbolt"
)

// Restoration says what to make of a backup.
type Restoration struct {
	Dir         DataDir // empty or new, or left by a restore that was cut off
	Archive     io.Reader
	Key         backup.PrivateKey
	PeerAddress string // empty: as it was
	APIAddress  string // empty: as it was
	Hosts       []string
	Now         time.Time
	DryRun      bool // all is done beside Dir and removed again
}

// Restored is what became of a backup.
type Restored struct {
	Backup    backup.Contents `json:"backup"`
	Cluster   string          `json:"cluster"` // the new one
	Self      Self            `json:"-"`
	Leaves    int64           `json:"leaves"` // of evidence that came back, and verified
	Directory state.Refounded `json:"directory"`
	Passwords []OneTime       `json:"passwords,omitempty"`

	Unreadable []string `json:"unreadable,omitempty"` // sinks and bindings that could not be opened, by subscription and resource: to be put again
}

// Restore makes a new cluster of one node out of a backup: events, inboxes and
// evidence come back as they were, the directory as [state.Store.Refound] makes it.
// The node does not exist before all is there and on the disk.
func Restore(r Restoration) (done Restored, err error) {
	if r.DryRun {
		aside, err := os.MkdirTemp(filepath.Dir(filepath.Clean(string(r.Dir))), ".gxbus-dry-run-*")
		if err != nil {
			return done, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(aside)) }()
		r.Dir = DataDir(filepath.Join(aside, "node"))
	}
	if err := r.Dir.begin(); err != nil {
		return done, err
	}
	w := &restoring{Restoration: r, files: map[string][]byte{}}
	if done.Backup, err = backup.Open(r.Archive, r.Key, w.take); err != nil {
		return done, errors.Join(err, r.Dir.abandon())
	}
	if err := w.make(&done); err != nil {
		return done, errors.Join(err, r.Dir.abandon())
	}
	if r.DryRun {
		done.Passwords = nil // they open nothing
	}
	return done, nil
}

// begin marks an empty directory, or clears one that a restore left half-way.
func (d DataDir) begin() error {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	if what, err := os.ReadFile(d.path(unfinished)); err == nil && string(what) == doingRestore && !d.Exists() {
		if err := d.abandon(); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return fmt.Errorf("read data directory: %w", err)
	}
	if len(entries) > 0 {
		return bus.E(bus.CodeAlreadyInitialized, bus.Defect{
			Field: "data_dir", Problem: bus.Text{ZH: "目录不为空：" + string(d), EN: "not empty: " + string(d)}, Allowed: "an empty or new directory",
		})
	}
	return identity.WriteFile(d.path(unfinished), []byte(doingRestore))
}

const doingRestore = "gxbus restore"

// abandon removes what a restore made; the mark goes last.
func (d DataDir) abandon() error {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != unfinished {
			err = errors.Join(err, os.RemoveAll(d.path(e.Name())))
		}
	}
	return errors.Join(err, os.Remove(d.path(unfinished)))
}

// restoring is a restore under way.
type restoring struct {
	Restoration
	files map[string][]byte // the small ones, by name
	known []bus.Checkpoint  // what the directory of the backup knew of the log
}

// take puts one part where it belongs; small files are kept in memory, for none of
// them comes back as it was.
func (w *restoring) take(p backup.Part, in io.Reader) error {
	switch p.Name {
	case partDirectory:
		store, err := state.Open(w.Dir.path(partReplica))
		if err != nil {
			return err
		}
		return errors.Join(store.Restore(in), store.Close())
	case partExchange:
		return writeSynced(w.Dir.ExchangeFile(), in)
	default:
		if segment, ok := strings.CutPrefix(p.Name, partArchive); ok {
			return w.segment(segment, in)
		}
		const most = 1 << 20
		data, err := io.ReadAll(io.LimitReader(in, most+1))
		if err == nil && len(data) > most {
			err = fmt.Errorf("part %s is too large", p.Name)
		}
		w.files[p.Name] = data
		return err
	}
}

// segment puts a sealed segment of evidence where it was; that it is part of the log is
// seen when that is verified.
func (w *restoring) segment(name string, in io.Reader) error {
	if _, _, ok := audit.ParseSegmentName(name); !ok {
		return bus.Invalid([]bus.Defect{{Field: "backup", Problem: bus.Text{ZH: "不是归档段", EN: "not the name of a segment"}, Allowed: partArchive + "<first>-<end>.jsonl.zst"}})
	}
	if err := os.MkdirAll(w.Dir.path(archiveDir), 0o700); err != nil {
		return err
	}
	path := w.Dir.path(filepath.Join(archiveDir, name))
	return errors.Join(writeSynced(path, in), storage.SyncDir(filepath.Dir(path)))
}

func writeSynced(path string, in io.Reader) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, in)
	return errors.Join(err, f.Sync(), f.Close())
}

// make turns what was unpacked into a node of a new cluster.
func (w *restoring) make(done *Restored) error {
	former, err := w.former()
	if err != nil {
		return err
	}
	self := Self{
		Cluster: identity.NewClusterID(), Node: former.Node, Division: former.Division,
		PeerAddress: cmp.Or(w.PeerAddress, former.PeerAddress), APIAddress: cmp.Or(w.APIAddress, former.APIAddress),
	}
	f := Founding{Dir: w.Dir, Node: self.Node, Division: self.Division, PeerAddress: self.PeerAddress, APIAddress: self.APIAddress, Hosts: w.Hosts, Now: w.Now}
	if err := f.check(true); err != nil {
		return err
	}
	ca, err := identity.NewCA(self.Cluster, w.Now)
	if err != nil {
		return err
	}
	k, err := newKeys(self.Cluster, self.Node)
	if err != nil {
		return err
	}
	request, err := identity.NewRequest(k.node)
	if err != nil {
		return err
	}
	certificate, err := ca.Issue(request, self.Node, f.hosts(), w.Now, certificateLife)
	if err != nil {
		return err
	}
	root := identity.EncodeCertificate(ca.Certificate())
	done.Cluster, done.Self = self.Cluster, self
	if err := w.directory(self, string(root), k.verifier, identity.KeyHash(certificate.RawSubjectPublicKeyInfo), done); err != nil {
		return err
	}
	if err := w.exchange(self, done); err != nil {
		return err
	}
	if err := ca.Save(w.Dir.path("ca.crt"), w.Dir.path("ca.key")); err != nil {
		return err
	}
	if err := k.save(w.Dir); err != nil {
		return err
	}
	if err := w.Dir.settle(self, string(identity.EncodeCertificate(certificate)), string(root)); err != nil {
		return err
	}
	return os.Remove(w.Dir.path(unfinished)) // a power cut that brings it back asks for the restore again
}

// former reads who the backup was of.
func (w *restoring) former() (former Self, err error) {
	for _, name := range []string{"node.json", "evidence.key"} {
		if len(w.files[name]) == 0 {
			return former, bus.E(bus.CodeInvalid, bus.Defect{
				Field: "backup", Problem: bus.Text{ZH: "备份中缺少 " + name, EN: "the backup lacks " + name}, Allowed: "a backup of a node",
			})
		}
	}
	return former, decodeSelf(w.files["node.json"], &former)
}

// directory refounds the directory and seeds the group of one with it.
func (w *restoring) directory(self Self, root, verifier string, key []byte, done *Restored) (err error) {
	store, err := state.Open(w.Dir.path(partReplica))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	err = store.View(func(tx *state.Tx) error {
		if c, ok := tx.Checkpoint(self.Node); ok {
			w.known = append(w.known, c)
		}
		return nil
	})
	if err != nil {
		return err
	}
	hashes, err := w.passwords(store, done)
	if err != nil {
		return err
	}
	reason := fmt.Sprintf("自 %s 的备份恢复，待确认 / restored from a backup of that time, to be confirmed", done.Backup.Taken.UTC().Format(time.RFC3339))
	done.Directory, err = store.Refound(state.Refounding{
		Cluster: self.Cluster, CA: root, Passwords: hashes, Reason: reason, At: w.Now.UTC(),
		Node: bus.Node{ID: self.Node, Division: self.Division, PeerAddress: self.PeerAddress, APIAddress: self.APIAddress, EvidenceKey: verifier, Key: key},
	})
	if err != nil {
		return err
	}
	snapshot, err := store.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Close()
	return consensus.Seed(w.Dir.path("raft"), self.Node, done.Directory.Index, func(w io.Writer) error {
		_, err := snapshot.WriteTo(w)
		return err
	})
}

// passwords makes a new one for every account and returns their hashes.
func (w *restoring) passwords(store *state.Store, done *Restored) (hashes map[string]string, err error) {
	hashes = map[string]string{}
	var accounts []bus.Account
	err = store.View(func(tx *state.Tx) error {
		accounts = slices.Collect(tx.Accounts())
		return nil
	})
	for _, a := range accounts {
		password := identity.NewOneTimePassword()
		if hashes[a.Name], err = identity.HashPassword(password); err != nil {
			return nil, err
		}
		done.Passwords = append(done.Passwords, OneTime{a.Name, a.Role, password})
	}
	return hashes, err
}

// exchange makes the file of the former node this one's.
func (w *restoring) exchange(self Self, done *Restored) (err error) {
	db, err := bbolt.Open(w.Dir.ExchangeFile(), 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(func(tx *bbolt.Tx) error {
		if err := w.evidence(tx, self, done); err != nil {
			return err
		}
		return w.secrets(tx, done)
	})
}

// evidence verifies the log that came back with the key that it was signed with,
// and has it go on under the new cluster's name. The former key ends here.
func (w *restoring) evidence(tx *bbolt.Tx, self Self, done *Restored) error {
	signer, key, err := audit.OpenKey(string(bytes.TrimSpace(w.files["evidence.key"])))
	if err != nil {
		return err
	}
	log, err := audit.OpenExisting(tx)
	if err != nil {
		return err
	}
	if _, err := w.Dir.attach(log); err != nil {
		return err
	}
	report, err := log.Verify(tx, w.known, key)
	if err != nil {
		return err
	}
	if !report.Verified {
		return bus.E(bus.CodeEvidence, bus.Defect{Field: "backup", Problem: report.Problem, Allowed: "a backup whose evidence verifies; keep this one and call the auditor"})
	}
	done.Leaves = report.Leaves
	_, err = audit.Continue(tx, audit.Origin(self.Cluster, self.Node), signer, key,
		audit.Restored{Epoch: done.Directory.Epoch, Taken: done.Backup.Taken}, w.Now)
	return err
}

// secrets seals the sinks and bindings that came back with keys of this node: those of
// the former are not taken over, for systems' signing keys are made from one of them.
func (w *restoring) secrets(tx *bbolt.Tx, done *Restored) error {
	for _, kept := range []struct {
		bucket, file string
		seal         func(identity.Secret) (cipher.AEAD, error)
	}{
		{exchange.SinkBucket, signingRoot, sinkSeal},
		{binding.Bucket, bindingKey, func(key identity.Secret) (cipher.AEAD, error) { return key.Sealer(), nil }},
	} {
		former, _ := identity.DecodeSecret(w.files[kept.file]) // where there is none, nothing opens
		open, err := kept.seal(former)
		if err != nil {
			return err
		}
		key, err := w.Dir.secret(kept.file)
		if err != nil {
			return err
		}
		seal, err := kept.seal(key)
		if err != nil {
			return err
		}
		unreadable, err := storage.Sealed{Bucket: []byte(kept.bucket), AEAD: open}.Reseal(tx, seal)
		if err != nil {
			return err
		}
		done.Unreadable = append(done.Unreadable, unreadable...)
	}
	return nil
}
