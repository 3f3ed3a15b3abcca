package server

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
	"golang.org/x/mod/sumdb/note"
)

// DataDir is a node's data directory.
//
//	node.json        who this node is
//	ca.crt           the cluster's root certificate, two while it is replaced
//	ca.key           its key, on the node that signs; ca-next.key: that of a root to come
//	node.crt .key    this node's certificate
//	evidence.key     signs this node's evidence log
//	signing.key      the signing keys of systems are made from it
//	binding.key      bindings to systems of providers are encrypted with it
//	first.json       until the first entry of a new cluster is in the log
//	generation.json  how often the group was recovered from a lost quorum, where it was
//	unfinished       while a restore or a recovery is under way, or was cut off
//	raft/            log and snapshots
//	directory.db     the directory
//	exchange.db      event logs, inboxes and evidence
//	evidence/        sealed segments of older evidence
//	signin.db        failed sign-ins, last uses, what was signed lately
type DataDir string

func (d DataDir) path(name string) string { return filepath.Join(string(d), name) }

// ExchangeFile is where the evidence log is kept.
func (d DataDir) ExchangeFile() string { return d.path("exchange.db") }

// unfinished is the file that marks a data directory which must not be started.
const unfinished = "unfinished"

// whole refuses a directory that a restore or a recovery was cut off in.
func (d DataDir) whole() error {
	what, err := os.ReadFile(d.path(unfinished))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if string(what) == doingRestore && d.Exists() { // node.json comes last: all is there, and a power cut brought the mark back
		return os.Remove(d.path(unfinished))
	}
	return bus.E(bus.CodeInUse, bus.Defect{
		Field:   "data_dir",
		Problem: bus.Text{ZH: "上一次操作中断：" + string(what), EN: "cut off half-way: " + string(what)},
		Allowed: "repeat it",
	}).Because(err)
}

// Self is what a node knows of itself before it can read the directory.
type Self struct {
	Cluster     string                `json:"cluster"`
	Node        bus.NodeID            `json:"node"`
	Division    bus.DivisionCode      `json:"division"`
	PeerAddress string                `json:"peer_address"`
	APIAddress  string                `json:"api_address"`
	Peers       map[bus.NodeID]string `json:"peers,omitempty"`  // known when it joined
	Parent      bus.NodeID            `json:"parent,omitempty"` // likewise
}

// Exists reports whether the directory belongs to a node already.
func (d DataDir) Exists() bool {
	_, err := os.Stat(d.path("node.json"))
	return err == nil
}

// keys are a node's own.
type keys struct {
	node     *ecdsa.PrivateKey
	signer   string // evidence key, secret; empty where it is saved already
	verifier string // its public half
}

// joining are the files that a join cut off half-way may have left.
var joining = []string{"evidence.key", "node.key", "ca.crt", "node.crt"}

// keys makes the keys of a new node in an empty directory. One that a join of
// this node into this cluster was cut off in goes on with the same keys, which
// its join token is bound to by then.
func (d DataDir) keys(cluster string, node bus.NodeID) (k keys, err error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return k, fmt.Errorf("create data directory: %w", err)
	}
	entries, err := os.ReadDir(string(d))
	if err != nil {
		return k, fmt.Errorf("read data directory: %w", err)
	}
	left := 0
	for _, e := range entries {
		if slices.Contains(joining, e.Name()) {
			left++
		}
	}
	if left > 0 && left == len(entries) {
		if k, err = d.savedKeys(audit.Origin(cluster, node)); err == nil {
			return k, nil
		}
	}
	if len(entries) > 0 {
		return k, bus.E(bus.CodeAlreadyInitialized, bus.Defect{
			Field: "data_dir", Problem: bus.Text{ZH: "目录不为空：" + string(d), EN: "not empty: " + string(d)}, Allowed: "an empty or new directory",
		}).Because(err)
	}
	if k, err = newKeys(cluster, node); err != nil {
		return k, err
	}
	return k, k.save(d)
}

func newKeys(cluster string, node bus.NodeID) (k keys, err error) {
	if k.node, err = identity.NewKey(); err != nil {
		return k, err
	}
	k.signer, k.verifier, err = audit.GenerateKey(audit.Origin(cluster, node))
	return k, err
}

func (k keys) save(d DataDir) error {
	if err := identity.WriteFile(d.path("evidence.key"), []byte(k.signer)); err != nil {
		return err
	}
	return identity.SaveKey(d.path("node.key"), k.node)
}

func (d DataDir) savedKeys(origin string) (k keys, err error) {
	if k.node, err = identity.LoadKey(d.path("node.key")); err != nil {
		return k, err
	}
	_, k.verifier, err = d.evidenceKey(origin)
	return k, err
}

// evidenceKey reads the key of the evidence log named origin, and refuses that
// of another.
func (d DataDir) evidenceKey(origin string) (signer note.Signer, verifier string, err error) {
	secret, err := identity.ReadPrivate(d.path("evidence.key"))
	if err != nil {
		return nil, "", err
	}
	if signer, verifier, err = audit.OpenKey(string(secret)); err != nil {
		return nil, "", err
	}
	if signer.Name() != origin {
		return nil, "", bus.E(bus.CodeForeignCluster, bus.Defect{
			Field: "evidence.key", Problem: bus.Text{ZH: "存证密钥属于 " + signer.Name(), EN: "the evidence key is that of " + signer.Name()}, Allowed: origin,
		})
	}
	return signer, verifier, nil
}

// settle writes what the cluster gave the node. node.json comes last: with it,
// the node exists. Certificate and root are PEM.
func (d DataDir) settle(self Self, certificate, root string) error {
	data, err := json.MarshalIndent(self, "", "  ")
	if err != nil {
		return err
	}
	for _, file := range []struct {
		name string
		data []byte
	}{
		{"ca.crt", []byte(root)}, {"node.crt", []byte(certificate)}, {"node.json", append(data, '\n')},
	} {
		if err := identity.WriteFile(d.path(file.name), file.data); err != nil {
			return fmt.Errorf("write %s: %w", file.name, err)
		}
	}
	return nil
}

// self reads node.json.
func (d DataDir) self() (s Self, err error) {
	data, err := os.ReadFile(d.path("node.json"))
	if errors.Is(err, os.ErrNotExist) {
		return s, bus.E(bus.CodeNotInitialized, bus.Defect{
			Field: "data_dir", Problem: bus.Text{ZH: "尚未初始化：" + string(d), EN: "no node here: " + string(d)}, Allowed: "gxbus init, gxbus join or gxbus restore first",
		})
	}
	if err != nil {
		return s, fmt.Errorf("read node.json: %w", err)
	}
	return s, decodeSelf(data, &s)
}

func decodeSelf(data []byte, s *Self) error {
	if err := json.Unmarshal(data, s); err != nil {
		return fmt.Errorf("node.json is damaged: %w", err)
	}
	return nil
}

// opened is a data directory read back.
type opened struct {
	Self
	roots    []*x509.Certificate // that ca.crt holds
	leaf     *x509.Certificate   // this node's certificate
	key      *ecdsa.PrivateKey
	signer   note.Signer // of the evidence log
	verifier string      // its public half
}

// open reads the node's identity, and refuses one that does not fit together.
func (d DataDir) open(now time.Time) (o opened, err error) {
	if o.Self, err = d.self(); err != nil {
		return o, err
	}
	if o.roots, err = identity.LoadCertificates(d.path("ca.crt")); err != nil {
		return o, err
	}
	if o.leaf, err = identity.LoadCertificate(d.path("node.crt")); err != nil {
		return o, err
	}
	if o.key, err = identity.LoadKey(d.path("node.key")); err != nil {
		return o, err
	}
	// The CA's key is read when a node joins; whether others could have read it
	// must show before.
	for _, name := range []string{"ca.key", "ca-next.key"} {
		if _, err := identity.ReadPrivate(d.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return o, err
		}
	}
	if err := o.verify(now); err != nil {
		return o, err
	}
	o.signer, o.verifier, err = d.evidenceKey(audit.Origin(o.Cluster, o.Node))
	return o, err
}

// verify checks that certificate, key, cluster and node id belong together, so
// that files of another cluster are noticed here and not as a strange handshake.
func (o opened) verify(now time.Time) error {
	foreign := func(zh, en string, cause error) error {
		return bus.E(bus.CodeForeignCluster, bus.Defect{Field: "data_dir", Problem: bus.Text{ZH: zh, EN: en}}).Because(cause)
	}
	id, err := identity.NodeFromCertificate(o.leaf, o.Cluster)
	if err != nil || id != o.Node {
		return foreign("节点证书与 node.json 不符", "the node's certificate does not match node.json", err)
	}
	if !o.key.PublicKey.Equal(o.leaf.PublicKey) {
		return foreign("私钥与证书不符", "the private key does not match the certificate", nil)
	}
	_, err = o.leaf.Verify(x509.VerifyOptions{Roots: pool(o.roots), CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		return foreign("节点证书不是本集群签发或已过期", "the node's certificate is not of this cluster, or has expired", err)
	}
	return nil
}
