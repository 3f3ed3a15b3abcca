package quarter

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// nodeLog is the evidence log of a node while it is made.
type nodeLog struct {
	node     bus.NodeID
	path     string
	db       *bbolt.DB
	log      *audit.Log
	signer   note.Signer
	verifier string
}

// openLogs makes the logs of all nodes, and puts their keys into the directory.
func openLogs(o Options, p *province) (logs map[bus.NodeID]*nodeLog, err error) {
	logs = map[bus.NodeID]*nodeLog{}
	for i := range p.directory.Nodes {
		n := &p.directory.Nodes[i]
		l := &nodeLog{node: n.ID, path: filepath.Join(o.Dir, string(n.ID)+".log")}
		origin := audit.Origin(Cluster, n.ID)
		if l.signer, l.verifier, err = audit.OpenKey(sampleKey(origin, o.Seed)); err != nil {
			return nil, closed(logs, err)
		}
		n.EvidenceKey = l.verifier
		if l.db, err = bbolt.Open(l.path, 0o600, &bbolt.Options{NoSync: true, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType}); err != nil {
			return nil, closed(logs, fmt.Errorf("open a log: %w", err))
		}
		logs[n.ID] = l
		if err = l.db.Update(func(tx *bbolt.Tx) (err error) {
			l.log, err = audit.Open(tx, origin)
			return err
		}); err != nil {
			return nil, closed(logs, err)
		}
	}
	return logs, nil
}

// sampleKey is the secret of a node of the sample: everybody can make it, so that it
// proves nothing.
func sampleKey(origin string, seed uint64) string {
	secret := sha256.Sum256(fmt.Appendf(nil, "gxbus sample key %d %s", seed, origin))
	const ed25519Algorithm = 1
	public := ed25519.NewKeyFromSeed(secret[:]).Public().(ed25519.PublicKey)
	name := sha256.Sum256(append([]byte(origin+"\n"), append([]byte{ed25519Algorithm}, public...)...))
	return fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, binary.BigEndian.Uint32(name[:]), base64.StdEncoding.EncodeToString(append([]byte{ed25519Algorithm}, secret[:]...)))
}

// closed closes what is open of logs and removes their files.
func closed(logs map[bus.NodeID]*nodeLog, err error) error {
	for _, l := range logs {
		if l.db != nil {
			err = errors.Join(err, l.close())
		}
	}
	return err
}

func (l *nodeLog) close() error {
	err := errors.Join(l.db.Close(), os.Remove(l.path))
	l.db = nil
	return err
}

func (l *nodeLog) add(records []audit.Record) error {
	return l.db.Update(func(tx *bbolt.Tx) error {
		_, err := l.log.Append(tx, records...)
		return err
	})
}

// finish signs the log's checkpoint, adds it and the rollups of days to the material,
// writes the export, and closes the log. Of one that is lost nothing is left.
func (l *nodeLog) finish(dir string, m *evaluation.Material, days []calendar.Date, there bool) (leaves int64, err error) {
	if !there {
		return 0, l.close()
	}
	err = l.db.Update(func(tx *bbolt.Tx) error {
		if leaves, err = l.log.Size(tx); err != nil || leaves == 0 {
			return err
		}
		c, err := l.log.Checkpoint(tx, l.signer)
		m.Checkpoints = append(m.Checkpoints, c)
		return err
	})
	if err != nil {
		return 0, err
	}
	err = l.db.View(func(tx *bbolt.Tx) error {
		rollups, err := evaluation.Derive(l.node, l.log.Records(tx, 0, leaves), days)
		if err != nil {
			return err
		}
		m.Rollups.Add(rollups...)
		file, err := os.OpenFile(filepath.Join(dir, string(l.node)+evaluation.EvidenceSuffix), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		return closing(file, l.log.Export(file, tx, l.verifier))
	})
	return leaves, errors.Join(err, l.close())
}

func closing(c io.Closer, err error) error { return errors.Join(err, c.Close()) }
