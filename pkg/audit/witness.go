package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/pkg/bus"
)

// MaxSubmission bounds the bytes of a submission: the old size, 63 hashes and a
// checkpoint.
const MaxSubmission = maxNote + 64*64

// maxProof is how many hashes a consistency proof can have.
const maxProof = 63

// Submission asks a witness to cosign a head (C2SP tlog-witness, add-checkpoint).
type Submission struct {
	Old   int64       // leaves of the head that the witness cosigned last, 0 of none
	Proof []tlog.Hash // that the head extends that one
	Note  string      // the signed head
}

// Encode gives the body of an add-checkpoint request.
func (s Submission) Encode() []byte {
	body := fmt.Appendf(nil, "old %d\n", s.Old)
	for _, h := range s.Proof {
		body = fmt.Appendf(body, "%s\n", h)
	}
	return fmt.Appendf(body, "\n%s", s.Note)
}

// ParseSubmission reads the body of an add-checkpoint request.
func ParseSubmission(body []byte) (Submission, error) {
	s, err := parseSubmission(string(body))
	if err != nil {
		return Submission{}, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "submission", Problem: bus.Text{ZH: "联署请求格式不正确", EN: "not a submission to a witness"}, Allowed: "C2SP tlog-witness add-checkpoint",
		}).Because(err)
	}
	return s, nil
}

func parseSubmission(body string) (s Submission, err error) {
	if len(body) > MaxSubmission {
		return s, fmt.Errorf("%d bytes, at most %d", len(body), MaxSubmission)
	}
	head, signed, ok := strings.Cut(body, "\n\n")
	lines := strings.Split(head, "\n")
	old, isOld := strings.CutPrefix(lines[0], "old ")
	if !ok || !isOld || len(lines)-1 > maxProof {
		return s, errors.New("no old size, or too long a proof")
	}
	if s.Old, err = strconv.ParseInt(old, 10, 64); err != nil || s.Old < 0 || strconv.FormatInt(s.Old, 10) != old {
		return s, fmt.Errorf("not a tree size: %.40q", old)
	}
	for _, line := range lines[1:] {
		hash, err := base64.StdEncoding.Strict().DecodeString(line)
		if err != nil || len(hash) != tlog.HashSize {
			return s, fmt.Errorf("not a hash: %.60q", line)
		}
		s.Proof = append(s.Proof, tlog.Hash(hash))
	}
	s.Note = signed
	return s, nil
}

// Conflict is a witness's answer that it cosigned another head last: of so many
// leaves.
type Conflict struct{ Size int64 }

// Error says which.
func (c *Conflict) Error() string {
	return fmt.Sprintf("the witness cosigned a head of %d leaves last", c.Size)
}

// Contradiction is a head that was refused though the log's own key signed it: it
// is older than one that was cosigned, or was not shown to extend it, or is another
// of the same size, which the two notes prove to anybody.
type Contradiction struct {
	Origin    string    `json:"origin"`
	At        time.Time `json:"at"`
	Size      int64     `json:"size"`      // of the head refused
	Witnessed int64     `json:"witnessed"` // of that cosigned last
	Forked    bool      `json:"forked"`    // another head of the same size
	Refused   string    `json:"refused"`   // signed note
	Known     string    `json:"known"`     // signed note
}

// The buckets of a witness: the note cosigned last of each log, and what was
// refused of it.
var (
	witnessBucket        = []byte("witness")
	contradictionsBucket = []byte("witness-contradictions")
)

// Witness cosigns a head of the log named origin, whose verifier key is key, if it
// extends the one cosigned last, and keeps it: once tx is committed no other head
// of so many leaves is ever cosigned. refused says why it does not: CodeInvalid for
// what makes no sense, CodeForbidden where the key has not signed it, a *[Conflict]
// where the old size is another, CodeEvidence where the proof does not hold. A head
// that contradicts the one cosigned last is kept beside it and returned the first
// time; tx has to be committed also then.
func (c *Cosigner) Witness(tx *bbolt.Tx, origin, key string, s Submission, at time.Time) (line string, found *Contradiction, refused, err error) {
	h, refused := s.open(origin, key)
	if refused != nil {
		return "", nil, refused, nil
	}
	kept, err := tx.CreateBucketIfNotExists(witnessBucket)
	if err != nil {
		return "", nil, nil, fmt.Errorf("witness: %w", err)
	}
	last, err := unverified(kept.Get([]byte(origin)))
	if err != nil {
		return "", nil, nil, fmt.Errorf("what was cosigned of %s cannot be read: %w", origin, err)
	}
	if refused = s.follows(h, last); refused != nil {
		if _, otherSize := errors.AsType[*Conflict](refused); otherSize && h.size > last.size {
			return "", nil, refused, nil // it asks anew with the size that it is told
		}
		found, err = contradiction(tx, h, last, at)
		return "", found, refused, err
	}
	if line, err = c.cosign(h.text(), at); err != nil {
		return "", nil, nil, err
	}
	if err := kept.Put([]byte(origin), []byte(s.Note)); err != nil {
		return "", nil, nil, fmt.Errorf("keep what was cosigned: %w", err)
	}
	return line, nil, nil, settled(tx, origin)
}

// open reads the head that s submits.
func (s Submission) open(origin, key string) (head, error) {
	keys, err := verifiers(origin, []string{key})
	if err != nil {
		return head{}, err
	}
	h, err := openHead(s.Note, origin, keys)
	_, unsigned := errors.AsType[*note.UnverifiedNoteError](err)
	_, forged := errors.AsType[*note.InvalidSignatureError](err)
	switch {
	case unsigned || forged:
		return head{}, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "note", Problem: bus.Text{ZH: "检查点未由该日志的密钥签署", EN: "the checkpoint is not signed with the key of its log"}, Allowed: origin,
		}).Because(err)
	case err != nil:
		return head{}, badCheckpoint("note").Because(err)
	case s.Old > h.size:
		return head{}, badCheckpoint("old")
	}
	return h, nil
}

// follows returns nil where h may be cosigned after last.
func (s Submission) follows(h, last head) error {
	if s.Old != last.size {
		return &Conflict{last.size}
	}
	if s.Old == h.size {
		if last.note != "" && h.root != last.root {
			return &Conflict{last.size}
		}
		return nil
	}
	if s.Old == 0 && len(s.Proof) == 0 {
		return nil
	}
	if s.Old == 0 || tlog.CheckTree(s.Proof, h.size, h.root, last.size, last.root) != nil {
		return bus.E(bus.CodeEvidence, bus.Defect{
			Field: "proof", Problem: bus.Text{ZH: "一致性证明不成立", EN: "the consistency proof does not hold"}, Allowed: fmt.Sprintf("a log that extends the %d leaves cosigned", last.size),
		})
	}
	return nil
}

// contradiction keeps what is wrong about a refused head, and returns it where that
// is news.
func contradiction(tx *bbolt.Tx, h, last head, at time.Time) (*Contradiction, error) {
	if h.size == last.size && h.root == last.root || last.note == "" {
		return nil, nil
	}
	c := Contradiction{
		Origin: h.origin, At: at.UTC(), Size: h.size, Witnessed: last.size, Forked: h.size == last.size, Refused: h.note, Known: last.note,
	}
	bucket, err := tx.CreateBucketIfNotExists(contradictionsBucket)
	if err != nil {
		return nil, fmt.Errorf("keep contradiction: %w", err)
	}
	var before Contradiction
	if data := bucket.Get([]byte(h.origin)); data != nil {
		if err := json.Unmarshal(data, &before); err != nil {
			return nil, fmt.Errorf("what was refused of %s cannot be read: %w", h.origin, err)
		}
	}
	if before.Forked || before.Refused == c.Refused {
		return nil, nil // the first fork stays
	}
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return &c, bucket.Put([]byte(h.origin), data)
}

// settled forgets what was refused once the log has gone on; a fork is never
// forgotten.
func settled(tx *bbolt.Tx, origin string) error {
	bucket := tx.Bucket(contradictionsBucket)
	if bucket == nil {
		return nil
	}
	var before Contradiction
	if data := bucket.Get([]byte(origin)); data == nil || json.Unmarshal(data, &before) != nil || before.Forked {
		return nil
	}
	return bucket.Delete([]byte(origin))
}

// Contradictions returns what a witness refused of each log, and was not settled.
func Contradictions(tx *bbolt.Tx) (found []Contradiction, err error) {
	bucket := tx.Bucket(contradictionsBucket)
	if bucket == nil {
		return nil, nil
	}
	err = bucket.ForEach(func(origin, data []byte) error {
		var c Contradiction
		if err := json.Unmarshal(data, &c); err != nil {
			return fmt.Errorf("what was refused of %s cannot be read: %w", origin, err)
		}
		found = append(found, c)
		return nil
	})
	return found, err
}

// WitnessedBy returns the head of a log that this witness cosigned last, as the
// log signed it; empty where there is none.
func WitnessedBy(tx *bbolt.Tx, origin string) string {
	bucket := tx.Bucket(witnessBucket)
	if bucket == nil {
		return ""
	}
	return string(bucket.Get([]byte(origin)))
}

// witnessedKey is where the log keeps the size of its newest cosigned checkpoint.
var witnessedKey = []byte("witnessed")

// Submission asks a witness that cosigned old leaves last to cosign a head of this
// log.
func (l *Log) Submission(tx *bbolt.Tx, c bus.Checkpoint, old int64) (Submission, error) {
	s := Submission{Old: old, Note: c.Note}
	if old == 0 || old >= c.Size {
		return s, nil
	}
	hashes, err := l.Hashes(tx)
	if err != nil {
		return s, err
	}
	s.Proof, err = tlog.ProveTree(c.Size, old, hashes)
	return s, err
}

// Cosigned keeps the lines that a witness answered with for a head, as far as they
// are signed with its key; own is the key of this log. It returns the checkpoint
// with them.
func (l *Log) Cosigned(tx *bbolt.Tx, c bus.Checkpoint, lines, own, witness string) (bus.Checkpoint, error) {
	t, err := l.open(tx)
	if err != nil {
		return c, err
	}
	mine, err := note.NewVerifier(own)
	if err != nil {
		return c, badKey("key").Because(err)
	}
	theirs, err := cosigning(witness)
	if err != nil {
		return c, err
	}
	opened, err := note.Open([]byte(c.Note+lines), note.VerifierList(mine, theirs))
	if err != nil || len(opened.Sigs) < 2 {
		return c, badCheckpoint("cosignature").Because(err)
	}
	opened.UnverifiedSigs = nil
	merged, err := note.Sign(opened)
	if err != nil {
		return c, fmt.Errorf("keep cosignature: %w", err)
	}
	if !bytes.Equal(t.checkpoints.Get(leafKey(c.Size)), []byte(c.Note)) {
		return c, bus.NotFound("checkpoint", fmt.Sprint(c.Size))
	}
	c.Note = string(merged)
	return c, errors.Join(t.checkpoints.Put(leafKey(c.Size), merged), tx.Bucket(topBucket).Put(witnessedKey, leafKey(c.Size)))
}

// Witnessed returns the newest checkpoint that a witness has cosigned; ok is false
// where there is none.
func (l *Log) Witnessed(tx *bbolt.Tx) (c bus.Checkpoint, ok bool, err error) {
	t, err := l.open(tx)
	if err != nil {
		return c, false, err
	}
	signed := t.checkpoints.Get(tx.Bucket(topBucket).Get(witnessedKey))
	if signed == nil {
		return c, false, nil
	}
	h, err := unverified(signed)
	return h.checkpoint(l.node), err == nil, err
}

// String says what was refused, on one line.
func (c Contradiction) String() string {
	switch {
	case c.Forked:
		return fmt.Sprintf("another head of %d leaves than was cosigned", c.Size)
	case c.Size < c.Witnessed:
		return fmt.Sprintf("a head of %d leaves after one of %d was cosigned", c.Size, c.Witnessed)
	}
	return fmt.Sprintf("a head of %d leaves that does not extend the %d cosigned", c.Size, c.Witnessed)
}
