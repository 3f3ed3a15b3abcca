package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/bus"
)

// MaxPart is the size of the largest part, in bytes.
const MaxPart = 512 << 10

// Grounds are what a decision was made of, as its leaf keeps them: what is the
// call's own in the leaf, what many calls share in parts beside it, under their
// digests, which the leaf names. So a leaf stays small, and proves its parts.
type Grounds struct {
	Call     json.RawMessage `json:"call"`             // of the input what is the call's own, with values masked
	Masked   []string        `json:"masked,omitempty"` // JSON pointers of those
	Facts    string          `json:"facts"`            // digest of the part with the rest of the input, JSON
	Verdicts string          `json:"verdicts"`         // digest of the part with a Verdicts, JSON
	Took     int64           `json:"took_ns,omitempty"`

	parts [][]byte // to be written with the leaf
}

// Verdicts is what each layer said to a call.
type Verdicts struct {
	Base     string        `json:"base"` // digest of the base layer's text
	Verdicts []bus.Verdict `json:"verdicts"`
}

// PartDigest names a part: "sha256:" and hex.
func PartDigest(text []byte) string {
	sum := sha256.Sum256(text)
	return digestPrefix + hex.EncodeToString(sum[:])
}

// partKey is the key of a part, from its digest.
func partKey(digest string) ([]byte, bool) {
	if !validDigest(digest) {
		return nil, false
	}
	key, err := hex.DecodeString(strings.TrimPrefix(digest, digestPrefix))
	return key, err == nil
}

// grounds gives the form for evidence of a decision's grounds; nil where there are
// none, or they are larger than is kept. The decision itself is recorded all the
// same.
func grounds(d *bus.Decision) (*Grounds, error) {
	if d == nil || d.Grounds == nil || d.Grounds.Input == nil {
		return nil, nil
	}
	call, facts, masked, err := d.Grounds.Input.Split()
	if err != nil {
		return nil, nil // an input that no JSON can hold; it was denied for that
	}
	verdicts, err := json.Marshal(Verdicts{d.Grounds.Base, d.Grounds.Verdicts})
	if err != nil {
		return nil, fmt.Errorf("encode verdicts: %w", err)
	}
	if len(call) > MaxLeaf/4 || len(facts) > MaxPart || len(verdicts) > MaxPart {
		return nil, nil
	}
	return &Grounds{
		Call: call, Masked: masked, Facts: PartDigest(facts), Verdicts: PartDigest(verdicts),
		Took: d.Grounds.Took.Nanoseconds(), parts: [][]byte{facts, verdicts},
	}, nil
}

// digests are the parts that g names.
func (g *Grounds) digests() []string {
	if g == nil {
		return nil
	}
	return []string{g.Facts, g.Verdicts}
}

func (g *Grounds) check() []bus.Defect {
	var defects []bus.Defect
	for _, digest := range g.digests() {
		if !validDigest(digest) {
			defects = append(defects, bus.Defect{
				Field: "grounds", Problem: bus.Text{ZH: "摘要格式不正确", EN: "not a digest"}, Allowed: digestPrefix + " and 64 lower-case hex digits",
			})
		}
	}
	return defects
}

// keep writes the parts of a leaf that are not there yet.
func (t tables) keep(g *Grounds) error {
	if g == nil {
		return nil
	}
	for i, digest := range g.digests() {
		key, ok := partKey(digest)
		if !ok || t.parts.Get(key) != nil {
			continue
		}
		if err := t.parts.Put(key, g.parts[i]); err != nil {
			return err
		}
	}
	return nil
}

// Part returns the part with a digest; CodeNotFound where there is none. One that
// does not match its digest is an error.
func (l *Log) Part(tx *bbolt.Tx, digest string) ([]byte, error) {
	t, err := l.open(tx)
	if err != nil {
		return nil, err
	}
	text := t.part(digest)
	switch {
	case text == nil:
		return nil, bus.NotFound("part", digest)
	case PartDigest(text) != digest:
		return nil, fmt.Errorf("evidence: part %s was changed", digest)
	}
	return text, nil
}

func (t tables) part(digest string) []byte {
	key, ok := partKey(digest)
	if !ok || t.parts == nil {
		return nil
	}
	return bytes.Clone(t.parts.Get(key))
}

var groundsMark = []byte(`"grounds":{`)

// partsOf lists the parts that the leaf names, read loosely: of a damaged leaf
// nothing is known.
func partsOf(leaf []byte) []string {
	if !bytes.Contains(leaf, groundsMark) {
		return nil
	}
	var record struct {
		Grounds *Grounds `json:"grounds"`
	}
	if json.Unmarshal(leaf, &record) != nil {
		return nil
	}
	return record.Grounds.digests()
}
