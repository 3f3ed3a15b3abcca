package intake

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Journal remembers which chunks a node has acknowledged, so that an import that
// was killed goes on where it was, and says at its end what became of all of it.
//
// The first line says what is imported; each further line is a chunk. A line is
// on the disk before the next one is written; a torn last one is as if it had
// not been. Chunks are known by their content, and so are their request ids
// within one run: a chunk that arrived, but whose acknowledgement did not, is
// answered as it was the first time.
type Journal struct {
	mu   sync.Mutex
	file *os.File
	path string
	run  string
	rows map[string][]bus.ImportRow
}

// Purpose is what an import is of. A journal is for one purpose only.
type Purpose struct {
	File    string `json:"file"`    // hex SHA-256 of its content
	Mapping string `json:"mapping"` // of the mapping's
	Server  string `json:"server"`
	Submit  bool   `json:"submit"`
}

type journalHead struct {
	Purpose
	Run string `json:"run"`
}

type journalLine struct {
	Chunk string          `json:"chunk"`
	Rows  []bus.ImportRow `json:"rows"`
}

// OpenJournal opens the journal of an import, making it where it is not there.
// With resume one that was left is gone on with; it must be of the same purpose.
func OpenJournal(path string, p Purpose, resume bool) (*Journal, error) {
	j := &Journal{path: path, rows: map[string][]bus.ImportRow{}}
	if resume {
		switch resumed, err := j.load(p); {
		case err != nil:
			return nil, err
		case resumed:
			return j, nil
		}
	}
	j.run = rand.Text()
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	j.file = file
	if err := j.write(journalHead{p, j.run}); err != nil {
		file.Close()
		return nil, err
	}
	return j, nil
}

// load reads a journal that was left. One whose first line is torn is none.
func (j *Journal) load(p Purpose) (bool, error) {
	content, err := os.ReadFile(j.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	end := 0
	var head journalHead
	for n := 0; ; n++ {
		line, _, whole := bytes.Cut(content[end:], []byte("\n"))
		if !whole {
			break
		}
		if n == 0 {
			if err := json.Unmarshal(line, &head); err != nil {
				return false, damaged(err)
			}
		} else {
			var l journalLine
			if err := json.Unmarshal(line, &l); err != nil {
				return false, damaged(err)
			}
			j.rows[l.Chunk] = l.Rows
		}
		end += len(line) + 1
	}
	if end == 0 {
		return false, nil
	}
	if head.Purpose != p || head.Run == "" {
		return false, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "journal", Problem: bus.Text{ZH: "续传记录属于另一次导入：文件、映射、节点或 --submit 不同", EN: "the journal is of another import: another file, mapping, node or --submit"},
			Allowed: "without --resume it is begun anew",
		})
	}
	j.run = head.Run
	if j.file, err = os.OpenFile(j.path, os.O_WRONLY, 0o600); err != nil {
		return false, err
	}
	if err := j.cut(int64(end)); err != nil {
		j.file.Close()
		return false, err
	}
	return true, nil
}

// cut takes a torn line off.
func (j *Journal) cut(end int64) error {
	if err := j.file.Truncate(end); err != nil {
		return err
	}
	_, err := j.file.Seek(end, 0)
	return err
}

func damaged(err error) error {
	return bus.E(bus.CodeInvalid, bus.Defect{Field: "journal", Problem: bus.Text{ZH: "续传记录无法读取", EN: "the journal cannot be read"}, Allowed: "without --resume it is begun anew"}).Because(err)
}

// acknowledged returns what became of a chunk that the node has taken.
func (j *Journal) acknowledged(chunk string) ([]bus.ImportRow, bool) {
	if j == nil {
		return nil, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	rows, ok := j.rows[chunk]
	return rows, ok
}

// request is the request id of a chunk: the same for as long as the journal is,
// and another in another run, for which the directory may have moved on.
func (j *Journal) request(chunk string) string {
	if j == nil {
		return rand.Text()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s", j.run, chunk))
	return hex.EncodeToString(sum[:16])
}

// acknowledge remembers a chunk; when it returns the line is on the disk.
func (j *Journal) acknowledge(chunk string, rows []bus.ImportRow) error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write(journalLine{chunk, rows})
}

func (j *Journal) write(line any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(line); err != nil {
		return err
	}
	if _, err := j.file.Write(b.Bytes()); err != nil {
		return err
	}
	return j.file.Sync()
}

// Close closes the journal, which stays for a later run.
func (j *Journal) Close() error { return j.file.Close() }

// Done closes and removes the journal of an import that came to its end.
func (j *Journal) Done() error { return errors.Join(j.file.Close(), os.Remove(j.path)) }
