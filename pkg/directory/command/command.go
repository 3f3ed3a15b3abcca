// Package command defines the entries of the directory's replicated log: what
// can be asked of the directory, as bytes that every later release still reads.
//
// Types and versions are append-only. A body gains a field only where its
// absence keeps the old meaning; any other change is a new version beside the
// old one, and testdata keeps the bytes of each. What an entry does to the
// directory is package state's business.
package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Type names what an entry asks for.
type Type string

// The entry types.
const (
	ClusterInit        Type = "cluster.init"
	TokenCreate        Type = "token.create"
	NodeJoin           Type = "node.join"
	NodePut            Type = "node.put"
	DepartmentPut      Type = "department.put"
	DepartmentDelete   Type = "department.delete"
	DepartmentMove     Type = "department.move"
	DepartmentAbort    Type = "department.move-abort"
	DepartmentMoved    Type = "department.moved"
	SystemPut          Type = "system.put"
	ResourcePut        Type = "resource.put"
	ResourceDelete     Type = "resource.delete"
	GrantPut           Type = "grant.put"
	GrantRevoke        Type = "grant.revoke"
	GrantConfirm       Type = "grant.confirm"
	SubscriptionPut    Type = "subscription.put"
	SubscriptionDelete Type = "subscription.delete"
	LayerPut           Type = "layer.put"
	LayerDelete        Type = "layer.delete"
	AccountPut         Type = "account.put"
	CheckpointPut      Type = "checkpoint.put"
	Tick               Type = "tick"
)

// MaxSize is the largest entry in bytes; a larger import is split.
const MaxSize = 512 << 10

// Entry is one entry of the log.
type Entry struct {
	Type      Type            `json:"type"`
	Version   int             `json:"v"`
	At        time.Time       `json:"at"`                // leader's clock when it was proposed
	Node      bus.NodeID      `json:"node"`              // where it entered the bus
	Principal bus.Principal   `json:"by"`                // who asked
	Request   string          `json:"request,omitempty"` // repeat-safe: the second is answered as the first
	Expect    bus.Revision    `json:"expect,omitempty"`  // revision it changes; 0: must not exist
	Body      json.RawMessage `json:"body"`
}

// Bodies that are not simply a noun of package bus.
type (
	// Init is the body of ClusterInit.
	Init struct {
		Cluster   string         `json:"cluster"`
		CA        string         `json:"ca"` // PEM certificate
		Divisions []bus.Division `json:"divisions"`
		Node      bus.Node       `json:"node"`
		Accounts  []bus.Account  `json:"accounts"`
	}
	// Join is the body of NodeJoin: a token redeemed by the holder of a key.
	Join struct {
		Token      bus.TokenID `json:"token"`
		SecretHash []byte      `json:"secret_hash"` // SHA-256 of the presented secret
		KeyHash    []byte      `json:"key_hash"`    // SHA-256 of the node's public key
		Node       bus.Node    `json:"node"`
	}
	// Key is the body of the Delete types.
	Key struct {
		ID string `json:"id"`
	}
	// Revoke is the body of GrantRevoke.
	Revoke struct {
		Grant  bus.GrantID `json:"grant"`
		Reason string      `json:"reason"`
	}
	// Confirm is the body of GrantConfirm: suspended grants that stand again.
	Confirm struct {
		Grants []bus.GrantID `json:"grants"`
	}
	// Move is the body of DepartmentMove: a department is to be served by
	// another node.
	Move struct {
		Department bus.USCC   `json:"department"`
		To         bus.NodeID `json:"to"`
		Abandon    bool       `json:"abandon,omitempty"` // without its events: the node that serves it is lost
	}
	// Moved is the body of DepartmentMoved: the new node has all of it on its
	// disk.
	Moved struct {
		Department bus.USCC     `json:"department"`
		Epoch      bus.Revision `json:"epoch"` // of the move
	}
	// Empty is the body of Tick.
	Empty struct{}
)

// New makes a version 1 entry.
func New(t Type, by bus.Principal, request string, expect bus.Revision, body any) (Entry, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return Entry{}, fmt.Errorf("encode %s: %w", t, err)
	}
	return Entry{Type: t, Version: 1, Principal: by, Request: request, Expect: expect, Body: data}, nil
}

// Encode gives the bytes of e; CodeTooLarge above MaxSize.
func (e Entry) Encode() ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode entry: %w", err)
	}
	if len(data) > MaxSize {
		return nil, bus.E(bus.CodeTooLarge, bus.Defect{
			Problem: bus.Text{ZH: "目录写入过大", EN: "the directory write is too large"}, Allowed: fmt.Sprintf("%d bytes", MaxSize),
		})
	}
	return data, nil
}

// Together makes one entry of the log from several, each encoded: they are applied
// together, in order, under one index. None has a line feed inside, for JSON
// escapes them.
func Together(entries [][]byte) []byte { return bytes.Join(entries, []byte{'\n'}) }

// Split gives the entries that were put together.
func Split(data []byte) [][]byte { return bytes.Split(data, []byte{'\n'}) }

// ErrUnknown means that an entry is of a type or version, or has a field, that
// this release does not know: it was written by a newer one, and going on would
// make replicas differ.
var ErrUnknown = errors.New("log entry of an unknown type, version or field: upgrade this node")

// Decode reads an entry. Its type and version may still be unknown to state.
func Decode(data []byte) (Entry, error) {
	var e Entry
	if err := decode(data, &e); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return e, nil
}

// DecodeBody reads the body of e into a pointer to one of the bodies above or to
// a noun of package bus.
func (e Entry) DecodeBody(body any) error {
	if err := decode(e.Body, body); err != nil {
		return fmt.Errorf("%w: body of %s: %w", ErrUnknown, e.Type, err)
	}
	return nil
}

// decode refuses what it would otherwise drop in silence: a replica of an older
// release would then keep less than the others.
func decode(data []byte, v any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}
