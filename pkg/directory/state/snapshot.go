package state

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/storage"
	"go.etcd.io/bbolt"
)

// A snapshot is a gzip stream of: magic; then for each table in fixed order its
// name and pairs of key and value in key order, each with its length in front,
// closed by the length endOfTable; then the SHA-256 of all before it. The same
// walk gives the state hash, so that two nodes compare equal without a copy. One of
// an older release lacks the tables that are younger: they are empty, and indexes
// among them are made anew.
const (
	snapshotMagic = "gxbus directory 1\n"
	endOfTable    = ^uint32(0)
	maxValue      = 64 << 20 // no entry comes near; a larger length is damage
)

// younger are the tables that snapshots of older releases lack.
var younger = []Table{reviews, Schemes, Reports, Attachments}

// Snapshot is the directory as of one index, for as long as it is open.
type Snapshot struct {
	tx *bbolt.Tx
}

// Snapshot pins the present state without copying it.
func (s *Store) Snapshot() (*Snapshot, error) {
	s.swap.RLock()
	defer s.swap.RUnlock()
	tx, err := s.db.Begin(false)
	if err != nil {
		return nil, fmt.Errorf("begin snapshot: %w", err)
	}
	return &Snapshot{tx}, nil
}

// Index returns the applied index of the snapshot.
func (s *Snapshot) Index() bus.Revision { return (&Tx{tx: s.tx}).Index() }

// Close releases the state.
func (s *Snapshot) Close() error { return s.tx.Rollback() }

// WriteTo writes the state as a compressed stream.
func (s *Snapshot) WriteTo(w io.Writer) (int64, error) {
	counted := &storage.Counter{W: w}
	zip, err := gzip.NewWriterLevel(counted, gzip.BestSpeed)
	if err != nil {
		return 0, err
	}
	digest := sha256.New()
	buffered := bufio.NewWriterSize(io.MultiWriter(zip, digest), 256<<10)
	if err := dump(s.tx, buffered); err != nil {
		return counted.N, err
	}
	if err := buffered.Flush(); err != nil {
		return counted.N, err
	}
	if _, err := zip.Write(digest.Sum(nil)); err != nil {
		return counted.N, err
	}
	return counted.N, zip.Close()
}

// Hash returns the SHA-256 of the state: equal on every node at equal index.
func (s *Snapshot) Hash() ([]byte, error) {
	digest := sha256.New()
	buffered := bufio.NewWriterSize(digest, 256<<10)
	if err := dump(s.tx, buffered); err != nil {
		return nil, err
	}
	if err := buffered.Flush(); err != nil {
		return nil, err
	}
	return digest.Sum(nil), nil
}

func dump(tx *bbolt.Tx, w io.Writer) error {
	if _, err := io.WriteString(w, snapshotMagic); err != nil {
		return err
	}
	for _, table := range tables {
		if err := writeBytes(w, []byte(table)); err != nil {
			return err
		}
		err := tx.Bucket([]byte(table)).ForEach(func(k, v []byte) error {
			return errors.Join(writeBytes(w, k), writeBytes(w, v))
		})
		if err != nil {
			return err
		}
		if err := binary.Write(w, binary.BigEndian, endOfTable); err != nil {
			return err
		}
	}
	return nil
}

func writeBytes(w io.Writer, b []byte) error {
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(len(b)))
	if _, err := w.Write(length[:]); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// Restore replaces the state by a snapshot. The new file is built aside and
// swapped in when it is whole and on disk; after an error the old state stands.
func (s *Store) Restore(r io.Reader) error {
	if err := s.clearAside(); err != nil {
		return err
	}
	aside := s.aside()
	if err := build(aside, r); err != nil {
		return errors.Join(fmt.Errorf("restore directory: %w", err), s.clearAside())
	}
	s.swap.Lock()
	defer s.swap.Unlock()
	if err := s.db.Close(); err != nil {
		return err
	}
	if err := os.Rename(aside, s.path); err != nil {
		return err
	}
	if err := syncDir(filepath.Dir(s.path)); err != nil {
		return err
	}
	db, err := openFile(s.path)
	if err != nil {
		return err
	}
	s.db = db
	return db.View(func(tx *bbolt.Tx) error {
		restored := &Tx{tx: tx}
		s.requests = restored.requests()
		s.advance(restored.Index())
		return nil
	})
}

// aside is where a restored state is built.
func (s *Store) aside() string { return s.path + ".restore" }

func (s *Store) clearAside() error {
	if err := os.Remove(s.aside()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// build writes the snapshot in r to a new bbolt file, checked and synced.
func build(path string, r io.Reader) error {
	unzip, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	digest := sha256.New()
	in := bufio.NewReaderSize(unzip, 256<<10)
	hashed := io.TeeReader(in, digest)
	magic := make([]byte, len(snapshotMagic))
	if _, err := io.ReadFull(hashed, magic); err != nil {
		return err
	}
	if string(magic) != snapshotMagic {
		return errors.New("not a directory snapshot of this format")
	}
	db, err := openFile(path)
	if err != nil {
		return err
	}
	db.NoSync = true // the file does not exist for anybody until the Sync below
	fill := func() error {
		lacking := map[Table]bool{}
		for _, table := range tables {
			lacking[table] = true
		}
		for more(in) {
			table, err := loadTable(db, hashed, lacking)
			if err != nil {
				return err
			}
			delete(lacking, table)
		}
		for _, table := range younger {
			delete(lacking, table)
		}
		for table := range lacking {
			return fmt.Errorf("the snapshot lacks table %q", table)
		}
		want := digest.Sum(nil)
		have := make([]byte, len(want))
		if _, err := io.ReadFull(in, have); err != nil {
			return err
		}
		if string(have) != string(want) {
			return errors.New("the snapshot's checksum does not match")
		}
		if _, err := in.ReadByte(); err != io.EOF {
			return errors.Join(errors.New("the snapshot does not end where it should"), err)
		}
		if err := reindex(db); err != nil {
			return err
		}
		return db.Sync()
	}
	return errors.Join(fill(), db.Close())
}

// more reports whether a table comes, and not the checksum at the end.
func more(in *bufio.Reader) bool {
	rest, _ := in.Peek(sha256.Size + 1)
	return len(rest) > sha256.Size
}

// loadTable reads a table, which must be one of those that are lacking.
func loadTable(db *bbolt.DB, r io.Reader, lacking map[Table]bool) (Table, error) {
	name, _, err := readBytes(r)
	if err != nil {
		return "", err
	}
	if !lacking[Table(name)] {
		return "", fmt.Errorf("the snapshot has an unknown table %q, or has it twice", name)
	}
	for done := false; !done; {
		err := db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket(name)
			bucket.FillPercent = 1 // keys come in order
			for range 10_000 {
				key, end, err := readBytes(r)
				if err != nil || end {
					done = end
					return err
				}
				value, _, err := readBytes(r)
				if err != nil {
					return err
				}
				if err := bucket.Put(key, value); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return Table(name), nil
}

func readBytes(r io.Reader) (b []byte, end bool, err error) {
	var length uint32
	if err := binary.Read(r, binary.BigEndian, &length); err != nil {
		return nil, false, err
	}
	if length == endOfTable {
		return nil, true, nil
	}
	if length > maxValue {
		return nil, false, errors.New("the snapshot is damaged: a length is out of range")
	}
	b = make([]byte, length)
	_, err = io.ReadFull(r, b)
	return b, false, err
}
