package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/gxbus/gxbus/pkg/storage"
)

const (
	unfinished = ".tmp"  // ends the name of a segment that is not part of the log yet
	blocksKept = 16      // blocks that the archive holds read
	blockKeeps = 4 << 20 // bytes of the largest of them
)

// Archive is the directory with the sealed segments of a log. It may be used from many
// goroutines.
type Archive struct {
	dir   string
	unzip *zstd.Decoder

	mu     sync.Mutex
	recent []readBlock // the one used last at the end
}

// readBlock is a block of leaves as a segment has it.
type readBlock struct {
	segment string // digest
	block   int64
	leaves  [][]byte
}

// OpenArchive opens a directory, which is made when the first segment is written.
func OpenArchive(dir string) (*Archive, error) {
	unzip, err := newUnpacker()
	if err != nil {
		return nil, fmt.Errorf("open evidence archive: %w", err)
	}
	return &Archive{dir: dir, unzip: unzip}, nil
}

// Attach gives the log the archive with its older leaves, before the log is used.
func (l *Log) Attach(a *Archive) { l.archive = a }

// Path is where the file of a segment is.
func (a *Archive) Path(s Segment) string { return filepath.Join(a.dir, s.Name()) }

// leaf reads one leaf out of a segment, by the block.
func (a *Archive) leaf(s Segment, n int64) ([]byte, error) {
	if a == nil {
		return nil, s.missing(errors.New("no archive is at hand"))
	}
	leaves, err := a.block(s, n/blockLeaves)
	if err != nil {
		return nil, s.missing(err)
	}
	return leaves[n%blockLeaves], nil
}

func (a *Archive) block(s Segment, block int64) ([][]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	at := slices.IndexFunc(a.recent, func(r readBlock) bool { return r.segment == s.Digest && r.block == block })
	if at >= 0 {
		found := a.recent[at]
		a.recent = append(slices.Delete(a.recent, at, at+1), found)
		return found.leaves, nil
	}
	frame, err := a.frame(s, int(block-s.First/blockLeaves))
	if err != nil {
		return nil, err
	}
	leaves, err := leavesOf(frame, block*blockLeaves)
	if err != nil || len(frame) > blockKeeps {
		return leaves, err
	}
	if len(a.recent) == blocksKept {
		a.recent = slices.Delete(a.recent, 0, 1)
	}
	a.recent = append(a.recent, readBlock{s.Digest, block, leaves})
	return leaves, nil
}

// frame reads and unpacks one frame of a segment.
func (a *Archive) frame(s Segment, number int) ([]byte, error) {
	file, err := os.Open(a.Path(s))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	frames, err := readTable(file, info.Size())
	if err != nil {
		return nil, err
	}
	if number < 0 || number >= len(frames) {
		return nil, fmt.Errorf("there is no frame %d of %d", number, len(frames))
	}
	packed := make([]byte, frames[number].packed)
	if _, err := file.ReadAt(packed, frames[number].offset); err != nil {
		return nil, err
	}
	return a.unzip.DecodeAll(packed, nil)
}

// leavesOf reads the leaves of a frame, which begin with leaf first.
func leavesOf(frame []byte, first int64) ([][]byte, error) {
	leaves := make([][]byte, 0, blockLeaves)
	for line := range bytes.Lines(frame) {
		if !bytes.HasPrefix(line, []byte(`{"leaf":`)) {
			continue // the header, a checkpoint, a part
		}
		e, ok := parseLine(bytes.TrimSuffix(line, []byte("\n")))
		if !ok || e.leaf != first+int64(len(leaves)) {
			return nil, fmt.Errorf("leaf %d is not in its place", first+int64(len(leaves)))
		}
		leaves = append(leaves, e.data)
	}
	if len(leaves) != blockLeaves {
		return nil, fmt.Errorf("%d leaves in a block", len(leaves))
	}
	return leaves, nil
}

// Check returns nil for a segment whose file is as it was sealed, under its name or,
// where [Log.Settle] has not come to it, under the one before; else CodeEvidence.
func (a *Archive) Check(s Segment) error {
	err := a.named(s)
	if err != nil && a != nil && a.checkFile(a.Path(s)+unfinished, s) == nil {
		return nil
	}
	return err
}

// named is Check of a segment that has its name.
func (a *Archive) named(s Segment) error {
	if a == nil {
		return s.missing(errors.New("no archive is at hand"))
	}
	return a.checkFile(a.Path(s), s)
}

func (a *Archive) checkFile(path string, s Segment) error {
	file, err := os.Open(path)
	if err != nil {
		return s.missing(err)
	}
	defer file.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	if err == nil && (size != s.Bytes || digestPrefix+hex.EncodeToString(sum.Sum(nil)) != s.Digest) {
		err = errors.New("its digest is another")
	}
	if err != nil {
		return s.missing(err)
	}
	return nil
}

// write writes the file of a segment, under a name that says that it is not part of
// the log yet, a frame a block, and syncs it.
func (a *Archive) write(s Segment, header exportHeader, entries iter.Seq[entry]) (done Segment, err error) {
	if a == nil {
		return s, errors.New("evidence: no archive is at hand")
	}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return s, err
	}
	file, err := os.OpenFile(a.Path(s)+unfinished, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return s, err
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			_ = os.Remove(file.Name()) // of a full disk it takes room
		}
	}()
	sum := sha256.New()
	count := &storage.Counter{W: io.MultiWriter(file, sum)}
	out, err := newFramed(count)
	if err != nil {
		return s, err
	}
	lines := json.NewEncoder(out)
	if err := lines.Encode(header); err != nil {
		return s, err
	}
	for e := range entries {
		isLeaf := e.checkpoint == nil && e.part == ""
		if isLeaf && e.leaf > s.First && e.leaf%blockLeaves == 0 {
			if err := out.cut(); err != nil {
				return s, err
			}
		}
		if err := lines.Encode(e.line()); err != nil {
			return s, err
		}
	}
	if err := errors.Join(out.close(), file.Sync()); err != nil {
		return s, err
	}
	s.Digest, s.Bytes = digestPrefix+hex.EncodeToString(sum.Sum(nil)), count.N
	return s, storage.SyncDir(a.dir)
}

// verify verifies a segment that was just written, as anybody can who has the key.
func (a *Archive) verify(s Segment, key string) (Report, error) {
	path := a.Path(s) + unfinished
	if err := a.checkFile(path, s); err != nil {
		return Report{}, err
	}
	file, err := os.Open(path)
	if err != nil {
		return Report{}, err
	}
	defer file.Close()
	unzip, err := zstd.NewReader(bufio.NewReader(file), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return Report{}, err
	}
	defer unzip.Close()
	return VerifyExport(unzip, nil, key)
}

// settle is [Log.Settle].
func (a *Archive) settle(segments []Segment, kept int64) error {
	files, err := os.ReadDir(a.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // what is missing is told by who looks for it
	}
	if err != nil {
		return err
	}
	for _, s := range segments {
		if _, missing := os.Stat(a.Path(s)); missing != nil && a.checkFile(a.Path(s)+unfinished, s) == nil {
			err = errors.Join(err, os.Rename(a.Path(s)+unfinished, a.Path(s)))
		}
	}
	for _, file := range files {
		name := file.Name()
		_, end, pruned := ParseSegmentName(name)
		if filepath.Ext(name) != unfinished && !(pruned && end <= kept) {
			continue
		}
		if failed := os.Remove(filepath.Join(a.dir, name)); !errors.Is(failed, fs.ErrNotExist) { // it has its name by now
			err = errors.Join(err, failed)
		}
	}
	return errors.Join(err, storage.SyncDir(a.dir))
}
