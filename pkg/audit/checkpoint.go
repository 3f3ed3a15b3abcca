package audit

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/pkg/bus"
)

// maxNote bounds the bytes of a signed checkpoint that is read: its text, the
// node's signature and room for cosignatures.
const maxNote = 16 << 10

// head is what a checkpoint says: so many leaves have this root.
type head struct {
	origin string
	size   int64
	root   tlog.Hash
	note   string // signed form
}

// text gives the unsigned note of h (C2SP tlog-checkpoint).
func (h head) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n", h.origin, h.size, h.root)
}

// parseHead reads the text of a checkpoint; lines after the third are
// extensions, which the form allows and this log does not use.
func parseHead(text string) (head, error) {
	lines := strings.SplitN(text, "\n", 4)
	if len(lines) != 4 {
		return head{}, errors.New("a checkpoint has three lines")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return head{}, fmt.Errorf("not a tree size: %.40q", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return head{}, fmt.Errorf("not a tree head: %.60q", lines[2])
	}
	return head{origin: lines[0], size: size, root: tlog.Hash(root)}, nil
}

// openHead reads a signed checkpoint of origin; one of keys must have signed it.
func openHead(signed, origin string, keys note.Verifiers) (head, error) {
	if len(signed) > maxNote {
		return head{}, fmt.Errorf("a checkpoint of %d bytes, at most %d", len(signed), maxNote)
	}
	opened, err := note.Open([]byte(signed), keys)
	if err != nil {
		return head{}, err
	}
	h, err := parseHead(opened.Text)
	if err != nil {
		return head{}, err
	}
	if h.origin != origin {
		return head{}, fmt.Errorf("a checkpoint of %.200q", h.origin)
	}
	h.note = signed
	return h, nil
}

// OpenCheckpoint reads a signed checkpoint of the log named origin, as a parent
// node does before it keeps one: one of keys, in verifier text form, must have
// signed it. At and Revision are not in a note and stay zero.
func OpenCheckpoint(signed, origin string, keys ...string) (bus.Checkpoint, error) {
	node, err := parseOrigin(origin)
	if err != nil {
		return bus.Checkpoint{}, err
	}
	known, err := verifiers(origin, keys)
	if err != nil {
		return bus.Checkpoint{}, err
	}
	h, err := openHead(signed, origin, known)
	if err != nil {
		return bus.Checkpoint{}, badCheckpoint("note").Because(err)
	}
	return h.checkpoint(node), nil
}

// CheckSigned returns nil where c says no more than its note does, which the log
// named origin signed with key.
func CheckSigned(c bus.Checkpoint, origin, key string) error {
	signed, err := OpenCheckpoint(c.Note, origin, key)
	if err != nil {
		return err
	}
	if signed.Size != c.Size || !bytes.Equal(signed.Root, c.Root) {
		return badCheckpoint("note").Because(fmt.Errorf("the note says size %d, root %x", signed.Size, signed.Root))
	}
	return nil
}

func (h head) checkpoint(node bus.NodeID) bus.Checkpoint {
	return bus.Checkpoint{Node: node, Size: h.size, Root: h.root[:], Note: h.note}
}

func badCheckpoint(field string) *bus.Error {
	return bus.E(bus.CodeInvalid, bus.Defect{
		Field: field, Problem: bus.Text{ZH: "检查点不正确或签名无效", EN: "not a checkpoint of this log signed with its key"}, Allowed: "a signed C2SP checkpoint",
	})
}

// Checkpoint signs the head of the log and keeps it in tx; At is the time of the
// last leaf. Where the log has not grown since the last checkpoint it returns
// that one and writes nothing. It refuses to sign a log that does not extend what
// was signed last: such a log was changed, and a new signature would cover it up.
func (l *Log) Checkpoint(tx *bbolt.Tx, signer note.Signer) (bus.Checkpoint, error) {
	if signer.Name() != l.origin {
		return bus.Checkpoint{}, badKey("signer")
	}
	t, err := l.open(tx)
	if err != nil {
		return bus.Checkpoint{}, err
	}
	h, err := t.next(l.origin)
	if err != nil {
		return bus.Checkpoint{}, fmt.Errorf("checkpoint evidence: %w", err)
	}
	if h.note == "" {
		signed, err := note.Sign(&note.Note{Text: h.text()}, signer)
		if err != nil {
			return bus.Checkpoint{}, fmt.Errorf("sign checkpoint: %w", err)
		}
		h.note = string(signed)
		if err := t.checkpoints.Put(leafKey(h.size), signed); err != nil {
			return bus.Checkpoint{}, fmt.Errorf("keep checkpoint: %w", err)
		}
	}
	c := h.checkpoint(l.node)
	if h.size > 0 {
		last, err := t.record(h.size - 1)
		if err != nil {
			return bus.Checkpoint{}, err
		}
		c.At = last.At
	}
	return c, nil
}

// next gives the head to sign, or the last signed one where the log has not
// grown.
func (t tables) next(origin string) (head, error) {
	size, err := t.size()
	if err != nil {
		return head{}, err
	}
	hashes := storedHashes{t.hashes}
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return head{}, err
	}
	h := head{origin: origin, size: size, root: root}
	signed, err := t.lastSigned()
	if err != nil || signed.note == "" {
		return h, err
	}
	if signed.size == size && signed.root == root {
		return signed, nil
	}
	return h, extends(h, signed, hashes)
}

// lastSigned reads the newest kept checkpoint, none where there is none. Its
// signature is for Verify to check.
func (t tables) lastSigned() (head, error) {
	_, signed := t.checkpoints.Cursor().Last()
	return unverified(signed)
}

// unverified reads a checkpoint as it was kept, whoever signed it; none of nothing.
func unverified(signed []byte) (head, error) {
	if signed == nil {
		return head{}, nil
	}
	_, err := note.Open(signed, note.VerifierList())
	opened, ok := errors.AsType[*note.UnverifiedNoteError](err)
	if !ok {
		return head{}, fmt.Errorf("the checkpoint kept cannot be read: %w", err)
	}
	h, err := parseHead(opened.Note.Text)
	h.note = string(signed)
	return h, err
}

// extends returns nil where the tree of h begins with the tree of older.
func extends(h, older head, hashes tlog.HashReader) error {
	if older.size == 0 {
		return nil
	}
	if older.size >= h.size {
		return fmt.Errorf("the log of %d leaves is not the one that was signed at %d", h.size, older.size)
	}
	proof, err := tlog.ProveTree(h.size, older.size, hashes)
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(proof, h.size, h.root, older.size, older.root); err != nil {
		return fmt.Errorf("the log was changed since it was signed at %d leaves: %w", older.size, err)
	}
	return nil
}
