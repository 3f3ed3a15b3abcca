package audit

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/pkg/bus"
)

// ProofFormat names the form of a proof file.
const ProofFormat = "gxbus-proof/1"

// MaxProof bounds the bytes of a proof file that is read.
const MaxProof = 16 << 20

// Proof is what is known of one event, for somebody who has nothing but the nodes'
// public keys. As a file it is a signed note: its text is this as JSON, signed by
// the node that was asked. What other nodes recorded stands on their own signatures.
type Proof struct {
	Format string       `json:"format"`
	Event  string       `json:"event"` // CloudEvents id
	Made   time.Time    `json:"made"`
	Node   bus.NodeID   `json:"node"` // that was asked
	Logs   []LogProof   `json:"logs"`
	Grants []bus.Grant  `json:"grants,omitempty"` // as the directory has them
	Silent []bus.NodeID `json:"silent,omitempty"` // nodes that did not answer
}

// LogProof is what one log proves.
type LogProof struct {
	Checkpoint string      `json:"checkpoint"` // signed, and cosigned where a witness was to be had
	Leaves     []LeafProof `json:"leaves"`
}

// LeafProof is a leaf and why it is in the tree of a checkpoint.
type LeafProof struct {
	Leaf   int64       `json:"leaf"`
	Data   []byte      `json:"data"`             // the exact bytes
	Path   []tlog.Hash `json:"path"`             // RFC 6962 §2.1.1
	Events []string    `json:"events,omitempty"` // hex SHA-256 of each event that the record's digest is over
	Place  int         `json:"place,omitempty"`  // of the event in Events, from 1
}

// Prove proves leaves of the log under a checkpoint of it that covers them.
func (l *Log) Prove(tx *bbolt.Tx, c bus.Checkpoint, leaves []int64) (LogProof, error) {
	t, err := l.open(tx)
	if err != nil {
		return LogProof{}, err
	}
	proof := LogProof{Checkpoint: c.Note, Leaves: make([]LeafProof, len(leaves))}
	for i, n := range leaves {
		if n >= c.Size {
			return LogProof{}, bus.NotFound("leaf", fmt.Sprint(n))
		}
		data, err := t.leaf(n)
		if err != nil {
			return LogProof{}, err
		}
		path, err := tlog.ProveRecord(c.Size, n, storedHashes{t.hashes})
		if err != nil {
			return LogProof{}, fmt.Errorf("prove leaf %d: %w", n, err)
		}
		proof.Leaves[i] = LeafProof{Leaf: n, Data: slices.Clone(data), Path: path}
	}
	return proof, nil
}

// Seal makes the file of a proof, signed by the node that was asked.
func (p Proof) Seal(signer note.Signer) ([]byte, error) {
	p.Format = ProofFormat
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode proof: %w", err)
	}
	return note.Sign(&note.Note{Text: string(text) + "\n"}, signer)
}

// Proven is what a proof file shows.
type Proven struct {
	Event  string       `json:"event"`
	Made   time.Time    `json:"made"`
	Node   bus.NodeID   `json:"node"`
	Digest string       `json:"digest,omitempty"` // hex SHA-256 of the event as it was accepted
	Steps  []ProvenStep `json:"steps"`            // in time order
	Grants []bus.Grant  `json:"grants,omitempty"`
	Silent []bus.NodeID `json:"silent,omitempty"`
}

// ProvenStep is a leaf that is shown to be in its node's log.
type ProvenStep struct {
	Node      bus.NodeID    `json:"node"`
	Leaf      int64         `json:"leaf"`
	Of        int64         `json:"of"` // leaves of the checkpoint
	Witnesses []Cosignature `json:"witnesses"`
	Place     int           `json:"place,omitempty"`  // of the event in the run that the record is over, from 1
	Digest    string        `json:"digest,omitempty"` // hex SHA-256 of the event, where the record's digest shows it
	Record    Record        `json:"record"`
}

// CheckProof verifies a proof file with the evidence keys of the nodes, and nothing
// else. CodeEvidence says what does not hold; a file that verifies was not changed
// by a byte since the node signed it.
func CheckProof(file []byte, keys ...string) (Proven, error) {
	p, err := openProof(file, keys)
	if err != nil {
		return Proven{}, err
	}
	out := Proven{Event: p.Event, Made: p.Made, Node: p.Node, Grants: p.Grants, Silent: p.Silent}
	for _, l := range p.Logs {
		steps, err := l.check(keys)
		if err != nil {
			return Proven{}, err
		}
		out.Steps = append(out.Steps, steps...)
	}
	if len(out.Steps) == 0 {
		return Proven{}, notProven("logs", "没有任何记录", "no record", nil)
	}
	for _, s := range out.Steps {
		if s.Record.Kind == KindAccepted && s.Digest != "" {
			out.Digest = s.Digest
		}
	}
	slices.SortStableFunc(out.Steps, func(a, b ProvenStep) int { return a.Record.At.Compare(b.Record.At) })
	return out, nil
}

// openProof reads a proof file that one of the nodes signed.
func openProof(file []byte, keys []string) (p Proof, err error) {
	list := make([]note.Verifier, len(keys))
	for i, key := range keys {
		if list[i], err = note.NewVerifier(key); err != nil {
			return p, badKey(fmt.Sprintf("keys[%d]", i)).Because(err)
		}
	}
	if len(file) > MaxProof {
		return p, bus.E(bus.CodeTooLarge, bus.Defect{Field: "file", Allowed: fmt.Sprintf("at most %d bytes", MaxProof)})
	}
	opened, err := note.Open(file, note.VerifierList(list...))
	switch {
	case errors.As(err, new(*note.UnverifiedNoteError)):
		return p, notProven("keys", "没有签署节点的公钥，或文件已被改动", "the key of the node that signed is not given, or the file was changed", err)
	case err != nil:
		return p, notProven("signature", "文件不是证明，或已被改动", "the file is no proof, or was changed", err)
	case len(opened.Sigs) != 1 || !asWritten(file, *opened):
		return p, notProven("signature", "签名不唯一或编码不规范", "there is not one signature, as it was written", nil)
	}
	if err := strictJSON([]byte(opened.Text), &p); err != nil || p.Format != ProofFormat {
		return p, notProven("format", "不是本版本可读的证明文件", "not a proof file that this release reads", err)
	}
	if node, err := parseOrigin(opened.Sigs[0].Name); err != nil || node != p.Node {
		return p, notProven("node", "签署者不是被询问的节点", "it is signed by another node than was asked", err)
	}
	return p, nil
}

// asWritten reports whether a file is the one way to write its text and signature.
func asWritten(file []byte, n note.Note) bool {
	if _, err := base64.StdEncoding.Strict().DecodeString(n.Sigs[0].Base64); err != nil {
		return false
	}
	again, err := note.Sign(&n)
	return err == nil && bytes.Equal(again, file) && len(n.UnverifiedSigs) == 0
}

func (l LogProof) check(keys []string) ([]ProvenStep, error) {
	origin, _, _ := strings.Cut(l.Checkpoint, "\n")
	known, err := verifiers(origin, slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !strings.HasPrefix(key, origin+"+") }))
	if err != nil {
		return nil, notProven("checkpoint", "缺少日志 "+origin+" 的公钥", "the key of log "+origin+" is not given", err)
	}
	h, err := openHead(l.Checkpoint, origin, known)
	if err != nil {
		return nil, notProven("checkpoint", "日志 "+origin+" 的检查点无效", "the checkpoint of log "+origin+" does not verify", err)
	}
	witnesses, err := Cosignatures(l.Checkpoint, keys...)
	if err != nil {
		return nil, notProven("checkpoint", "见证签名无效", "a cosignature does not verify", err)
	}
	node, err := parseOrigin(origin)
	if err != nil {
		return nil, err
	}
	steps := make([]ProvenStep, len(l.Leaves))
	for i, leaf := range l.Leaves {
		record, err := leaf.check(h)
		if err == nil && record.Node != node {
			err = errors.New("it is a record of another node")
		}
		if err != nil {
			text := fmt.Sprintf("%s#%d", origin, leaf.Leaf)
			return nil, notProven("leaf", "记录 "+text+" 不在其日志中或已被改动", "leaf "+text+" is not in its log, or was changed", err)
		}
		steps[i] = ProvenStep{Node: node, Leaf: leaf.Leaf, Of: h.size, Witnesses: witnesses, Place: leaf.Place, Record: record}
		if leaf.Place > 0 {
			steps[i].Digest = leaf.Events[leaf.Place-1]
		}
	}
	return steps, nil
}

// check returns the record of a leaf that is in the tree of h.
func (p LeafProof) check(h head) (Record, error) {
	if err := tlog.CheckRecord(p.Path, h.size, h.root, p.Leaf, tlog.RecordHash(p.Data)); err != nil {
		return Record{}, err
	}
	record, err := decode(p.Data)
	if err != nil || len(p.Events) == 0 && p.Place == 0 {
		return record, err
	}
	events := make([][32]byte, len(p.Events))
	for i, text := range p.Events {
		sum, err := hex.DecodeString(text)
		if err != nil || len(sum) != len(events[i]) {
			return Record{}, errors.New("not a digest")
		}
		events[i] = [32]byte(sum)
	}
	if p.Place < 1 || p.Place > len(events) || Digest(events...) != record.Digest {
		return Record{}, errors.New("the digests are not those that the record is over")
	}
	return record, nil
}

func notProven(field, zh, en string, cause error) *bus.Error {
	return bus.E(bus.CodeEvidence, bus.Defect{Field: field, Problem: bus.Text{ZH: zh, EN: en}, Allowed: "a file as gxbus audit prove wrote it, and the keys of the nodes in it"}).Because(cause)
}
