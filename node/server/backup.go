package server

import (
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
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"go.etcd.io/bbolt"
)

// The parts of a node's backup that are no files of their own name.
const (
	partDirectory = "directory"
	partExchange  = "exchange.db"
)

// backupSource is a data directory pinned at one moment: first the directory, then
// the exchange file, so that the evidence log holds all that the directory's
// checkpoint of it covers.
type backupSource struct {
	dir       DataDir
	info      backup.Info
	directory *state.Snapshot
	exchange  *bbolt.Tx
}

// partArchive begins the names of the parts that are sealed segments of evidence.
const partArchive = archiveDir + "/"

// Backup writes a backup of this node to w, sealed to key, while it runs; the key
// of the configuration where key is the zero one. One at a time: another is
// bus.CodeInUse.
func (s *Server) Backup(w io.Writer, key backup.PublicKey) error {
	if !s.backingUp.TryLock() {
		return bus.E(bus.CodeInUse, bus.Defect{Field: "backup", Problem: bus.Text{ZH: "正在进行另一次备份", EN: "another backup is under way"}, Allowed: "one at a time"})
	}
	defer s.backingUp.Unlock()
	s.archiving.Lock() // no segment comes or goes meanwhile
	defer s.archiving.Unlock()
	directory, err := s.state.Snapshot()
	if err != nil {
		return err
	}
	defer directory.Close()
	return s.store.View(func(tx *bbolt.Tx) error {
		info := backup.Info{Cluster: s.self.Cluster, Node: s.self.Node, Division: s.self.Division, Release: s.version, Taken: s.now().UTC()}
		return backupSource{s.dir, info, directory, tx}.write(w, key)
	})
}

// RecoveryKey is the key that backups are sealed to where none is named; ok is
// false where the configuration has none.
func (s *Server) RecoveryKey() (key backup.PublicKey, ok bool) {
	key, err := backup.ParsePublic(s.config.RecoveryKey)
	return key, err == nil
}

// BackupSize is about how many bytes a backup of now reads.
func (s *Server) BackupSize() (size int64) {
	for _, name := range []string{partReplica, partExchange} {
		if info, err := os.Stat(s.dir.path(name)); err == nil {
			size += info.Size()
		}
	}
	return size
}

// BackupStopped writes a backup of the node in dir, which is not running.
func BackupStopped(dir DataDir, release string, now time.Time, w io.Writer, key backup.PublicKey) (err error) {
	self, err := dir.self()
	if err != nil {
		return err
	}
	if trusted, err := state.Trusted(dir.path(partReplica)); err != nil || !trusted {
		return errors.Join(err, bus.E(bus.CodeUnavailable, bus.Defect{
			Field: "data_dir", Problem: bus.Text{ZH: "断电后未再启动，目录须先由日志重建", EN: "a power cut may have hit the directory, and the node was not started since"}, Allowed: "start the node, then back it up",
		}))
	}
	replica, err := state.OpenReadOnly(dir.path(partReplica))
	if err != nil {
		return running(err)
	}
	defer func() { err = errors.Join(err, replica.Close()) }()
	db, err := bbolt.Open(dir.ExchangeFile(), 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return running(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	directory, err := replica.Snapshot()
	if err != nil {
		return err
	}
	defer directory.Close()
	return db.View(func(tx *bbolt.Tx) error {
		info := backup.Info{Cluster: self.Cluster, Node: self.Node, Division: self.Division, Release: release, Taken: now.UTC()}
		return backupSource{dir, info, directory, tx}.write(w, key)
	})
}

func (b backupSource) write(w io.Writer, key backup.PublicKey) error {
	log, err := audit.OpenExisting(b.exchange)
	if err != nil {
		return err
	}
	leaves, err := log.Size(b.exchange)
	if err != nil {
		return err
	}
	files, err := b.dir.small()
	if err != nil {
		return err
	}
	out, err := backup.NewWriter(w, key, b.info)
	if err != nil {
		return err
	}
	err = out.Add(backup.Part{Name: partDirectory, Index: b.directory.Index()}, func(w io.Writer) error {
		_, err := b.directory.WriteTo(w)
		return err
	})
	if err != nil {
		return err
	}
	err = out.Add(backup.Part{Name: partExchange, Leaves: leaves, Size: b.exchange.Size()}, func(w io.Writer) error {
		_, err := b.exchange.WriteTo(w)
		return err
	})
	if err != nil {
		return err
	}
	if err := b.archive(out, log); err != nil {
		return err
	}
	for _, name := range files {
		data, err := os.ReadFile(b.dir.path(name))
		if err != nil {
			return fmt.Errorf("back up %s: %w", name, err)
		}
		err = out.Add(backup.Part{Name: name, Size: int64(len(data))}, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		if err != nil {
			return err
		}
	}
	return out.Close()
}

// archive adds the sealed segments that the log has.
func (b backupSource) archive(out *backup.Writer, log *audit.Log) error {
	segments, err := log.Segments(b.exchange)
	if err != nil {
		return err
	}
	for _, s := range segments {
		file, err := os.Open(b.dir.path(filepath.Join(archiveDir, s.Name())))
		if err != nil {
			return fmt.Errorf("back up segment %s: %w", s.Name(), err)
		}
		err = out.Add(backup.Part{Name: partArchive + s.Name(), Size: s.Bytes}, func(w io.Writer) error {
			_, err := io.Copy(w, file)
			return err
		})
		if err = errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// small lists the files of a data directory beside its databases: what the node is,
// its certificates and its keys.
func (d DataDir) small() ([]string, error) {
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return nil, fmt.Errorf("read data directory: %w", err)
	}
	var names []string
	for _, e := range entries {
		wanted := slices.Contains([]string{".json", ".crt", ".key"}, filepath.Ext(e.Name()))
		if wanted && e.Type().IsRegular() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "first.json" {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
