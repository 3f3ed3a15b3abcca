package client

import (
	"cmp"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// The bodies of /api/v1 beyond the nouns of package bus. The node's API answers
// with these very types.

// Headers of the API.
const (
	HeaderIndex   = "Gxbus-Index"     // directory index an answer was made at, or a write has
	HeaderAge     = "Gxbus-Age"       // seconds the replica that answered may be old
	HeaderRequest = "Idempotency-Key" // request id of a write: the second is answered as the first
	HeaderLast    = "Gxbus-Last"      // sequence number to acknowledge after a pull
	HeaderSize    = "Gxbus-Size"      // about how many bytes a backup reads
)

// Query parameters of every read.
const (
	QueryMinIndex   = "min-index"  // directory index that the answer shows at least
	QueryConsistent = "consistent" // true: the answer shows every acknowledged write
)

// ReminderType is what the type of every reminder begins with; "due-soon" or
// "overdue" follows.
const ReminderType = "cn.gxbus.task."

// ExtensionIndex is the CloudEvents attribute of a directory change that holds the
// index of the log entry that made it, in decimal.
const ExtensionIndex = "gxbusindex"

// ChangeType is what the type of every directory change begins with; kind and
// ".put" or ".deleted" follow.
const ChangeType = "cn.gxbus.directory."

// Problem is an error answer (RFC 9457) of the API; it is a Go error.
type Problem struct {
	Type       string       `json:"type"`
	Title      string       `json:"title"` // the code's sentence, in the asker's language
	Status     int          `json:"status"`
	Detail     string       `json:"detail,omitempty"`
	Code       bus.Code     `json:"code"`
	Defects    []bus.Defect `json:"errors,omitempty"` // every one at once
	DecisionID string       `json:"decision_id,omitempty"`
	RequestID  string       `json:"request_id,omitempty"`
}

// SignIn asks for a session. NewPassword replaces a one-time password.
type SignIn struct {
	Account     string `json:"account" doc:"account name" example:"sysadmin"`
	Password    string `json:"password" doc:"password"`
	NewPassword string `json:"new_password,omitempty" doc:"replaces the password; needed at the first sign-in"`
}

// OIDCRequest begins a sign-in at the identity provider.
type OIDCRequest struct {
	RedirectURL string `json:"redirect_url" doc:"the node's redirect_url, or http://127.0.0.1:PORT/callback of the program that asks"`
}

// OIDCBegun is a sign-in that waits for its browser.
type OIDCBegun struct {
	AuthorizationURL string    `json:"authorization_url"` // to open in a browser
	Flow             string    `json:"flow"`              // completes it; for nobody else
	Expires          time.Time `json:"expires"`
}

// OIDCAnswer completes a sign-in with what came back to the redirect URL.
type OIDCAnswer struct {
	Flow  string `json:"flow"`
	State string `json:"state"`
	Code  string `json:"code"`
}

// Session is a signed-in account.
type Session struct {
	Token      string    `json:"token"` // bearer token for this node
	Account    string    `json:"account"`
	Role       bus.Role  `json:"role"`
	Department bus.USCC  `json:"department,omitempty"`
	Expires    time.Time `json:"expires"`
}

// TokenRequest asks for a join token.
type TokenRequest struct {
	Node     bus.NodeID       `json:"node"`
	Division bus.DivisionCode `json:"division"`
	Voter    bool             `json:"voter,omitempty"`
	Hours    int              `json:"hours,omitempty" minimum:"0" maximum:"168" doc:"how long it is good; 24 where 0"`
}

// JoinToken is a join token, shown once.
type JoinToken struct {
	ID      bus.TokenID `json:"id"`
	Token   string      `json:"token"`
	Expires time.Time   `json:"expires"`
}

// JoinRequest redeems a join token.
type JoinRequest struct {
	Token       string           `json:"token"`
	CSR         []byte           `json:"csr"` // DER, PKCS #10
	Node        bus.NodeID       `json:"node"`
	Division    bus.DivisionCode `json:"division"`
	PeerAddress string           `json:"peer_address"` // empty: it takes no connections and is relayed
	APIAddress  string           `json:"api_address"`
	EvidenceKey string           `json:"evidence_key"`
}

// JoinAnswer is what a new member needs to start.
type JoinAnswer struct {
	Cluster     string                `json:"cluster"`
	CA          string                `json:"ca"`               // PEM
	Certificate string                `json:"certificate"`      // PEM
	Peers       map[bus.NodeID]string `json:"peers"`            // peer addresses known now
	Parent      bus.NodeID            `json:"parent,omitempty"` // the node above, which relays for the new one
}

// CredentialRequest asks for one more credential of a system.
type CredentialRequest struct {
	Kind         bus.CredentialKind `json:"kind"`
	Certificate  string             `json:"certificate,omitempty" doc:"PEM, of kind certificate: its key is registered"`
	OverlapHours *int               `json:"overlap_hours,omitempty" minimum:"0" maximum:"8760" doc:"how long the system's other credential of this kind stays good; 168 where left out, 0: it ends at once"`
	Expires      time.Time          `json:"expires,omitzero" doc:"end of the new one; none where left out"`
}

// NewCredential is a system with the credential that was made for it. Its secret, if it
// has one, is shown once.
type NewCredential struct {
	System     bus.System     `json:"system"`
	Credential bus.Credential `json:"credential,omitzero"`
	Bearer     string         `json:"bearer,omitempty"`
	SigningKey string         `json:"signing_key,omitempty"`
}

// Secret is the secret that is shown once; empty where there is none.
func (c NewCredential) Secret() string { return cmp.Or(c.Bearer, c.SigningKey) }

// CredentialState is a credential as a node sees it.
type CredentialState struct {
	bus.Credential
	Live     bool      `json:"live"`
	LastUsed time.Time `json:"last_used,omitzero"` // at the node that answers
}

// AccountAnswer is an account, with the one-time password that was made for it:
// that is shown once.
type AccountAnswer struct {
	Account  bus.Account `json:"account"`
	Password string      `json:"password,omitempty"`
}

// Member is a node as Status shows it.
type Member struct {
	ID           bus.NodeID       `json:"id"`
	Division     bus.DivisionCode `json:"division"`
	DivisionName string           `json:"division_name"`
	Level        bus.Level        `json:"level"`
	Suffrage     string           `json:"suffrage"` // voter, non-voter, absent
	Leader       bool             `json:"leader"`
	Reachable    bool             `json:"reachable"`
	AppliedIndex bus.Revision     `json:"applied_index"` // 0 where not reachable
	Lag          uint64           `json:"lag"`           // entries behind the leader
	APIAddress   string           `json:"api_address"`
	Relayed      bool             `json:"relayed"`  // takes no connections: reached through the node above
	Relaying     Relaying         `json:"relaying"` // zero where not reachable
	Version      string           `json:"version,omitempty"`
	Layers       []LayerState     `json:"layers,omitempty"` // base first; none where not reachable

	PeerAddress string             `json:"peer_address"`
	Voter       bool               `json:"voter"`              // meant to vote; see Suffrage for whether it does
	Draining    bool               `json:"draining,omitempty"` // gives up its tasks and takes on no new ones
	CA          bool               `json:"ca,omitempty"`       // holds the cluster's signing key
	Serves      []bus.DivisionCode `json:"serves,omitempty"`   // divisions it is the node of
	Joined      time.Time          `json:"joined"`
	Expires     time.Time          `json:"expires,omitzero"`    // its certificate
	LastHeard   time.Time          `json:"last_heard,omitzero"` // by the leader; zero where no leader tells
	Silent      bool               `json:"silent,omitempty"`    // for longer than a minute
	Witness     Witness            `json:"witness,omitzero"`    // of its evidence log; zero where not reachable
}

// NodeChange asks for a step of a node.
type NodeChange struct {
	Force  bool `json:"force,omitempty" doc:"pass over what can be committed all the same"`
	DryRun bool `json:"dry_run,omitempty" doc:"only say what the quorum would be"`
}

// NodeChanged answers it.
type NodeChanged struct {
	Outlook bus.Outlook `json:"outlook"`
	Done    bool        `json:"done"` // the directory group is as meant; where not, it will be as soon as that is safe
}

// Transfer asks for another leader, for any other where To is empty.
type Transfer struct {
	To bus.NodeID `json:"to,omitempty"`
}

// Assignment makes a node that of a division.
type Assignment struct {
	Division bus.DivisionCode `json:"division"`
}

// Authority is what nodes are certified under.
type Authority struct {
	Roots []Root      `json:"roots"` // oldest first; two while one is replaced
	Nodes []Certified `json:"nodes"`
}

// Root is a root certificate that the nodes trust.
type Root struct {
	Fingerprint string     `json:"fingerprint"` // hex SHA-256
	Holder      bus.NodeID `json:"holder"`      // has its key
	Signs       bool       `json:"signs"`       // new certificates
	Crossed     bool       `json:"crossed"`     // also signed by the root before it
	Expires     time.Time  `json:"expires"`
	Certificate string     `json:"certificate"` // PEM
}

// Certified is the certificate that a node has told of.
type Certified struct {
	Node    bus.NodeID `json:"node"`
	Root    string     `json:"root"` // fingerprint; empty where it has not told yet
	Expires time.Time  `json:"expires,omitzero"`
}

// Rotation asks for a new root.
type Rotation struct {
	To bus.NodeID `json:"to,omitempty" doc:"node that is to hold the new root's key; the present holder where left out"`
}

// Retirement asks to end the trust in the older root.
type Retirement struct {
	Force bool `json:"force,omitempty" doc:"though nodes have no certificate under the new root; they are shut out"`
}

// Relaying is what a node has relayed between others since it started.
type Relaying struct {
	Streams int    `json:"streams"` // now
	Total   uint64 `json:"total"`
	Refused uint64 `json:"refused"`
	Bytes   uint64 `json:"bytes"` // both ways together
}

// LayerState is a policy layer as a node runs it. The base layer has revision 0: it
// comes with the node's release.
type LayerState struct {
	ID       bus.LayerID   `json:"id"`
	Revision bus.Revision  `json:"revision"`           // that the node decides by; 0: it has none
	InForce  bus.Revision  `json:"in_force"`           // by the directory of the node that answers; 0: none
	Standing LayerStanding `json:"standing,omitempty"` // how the two agree
	Digest   string        `json:"digest"`             // of the text, hex SHA-256
	Problem  string        `json:"problem,omitempty"`  // set: it denies all that it applies to
}

// LayerStanding is how a layer that a node runs agrees with what is in force.
type LayerStanding string

// The standings of a layer.
const (
	LayerCurrent LayerStanding = "current"
	LayerBehind  LayerStanding = "behind"    // another revision is in force, or none
	LayerBroken  LayerStanding = "broken"    // it cannot be compiled or asked, and denies
	LayerForeign LayerStanding = "different" // another text of the same revision: of base, that of another release
)

// Status is the state of the bus as one node sees it.
type Status struct {
	Cluster      string       `json:"cluster"`
	Node         bus.NodeID   `json:"node"`
	Leader       bus.NodeID   `json:"leader"`
	Term         uint64       `json:"term"` // of the directory group
	AppliedIndex bus.Revision `json:"applied_index"`
	AgeSeconds   float64      `json:"age_seconds"`
	Members      []Member     `json:"members"`
	Epoch        uint64       `json:"epoch,omitempty"`      // how often the directory was restored from a backup
	Suspended    int          `json:"suspended,omitempty"`  // grants that wait to be confirmed
	StateHash    string       `json:"state_hash,omitempty"` // hex SHA-256 at applied_index, when asked for
}

// Receipt acknowledges one published event: it is durable.
type Receipt struct {
	Source    string         `json:"source"`
	ID        string         `json:"id"`
	Resource  bus.ResourceID `json:"resource"`
	Sequence  uint64         `json:"sequence"`  // place in the resource's log, from 1
	Digest    string         `json:"digest"`    // hex SHA-256 of the canonical event
	Duplicate bool           `json:"duplicate"` // it was accepted before
}

// Receipts answers a publication, an entry an event in order.
type Receipts struct {
	Receipts []Receipt `json:"receipts"`
}

// Ack acknowledges all events of a subscription up to Last.
type Ack struct {
	Last uint64 `json:"last" minimum:"1" doc:"sequence number of the last event that was processed"`
}

// Revocation says why a grant is revoked.
type Revocation struct {
	Reason string `json:"reason"`
}

// MoveRequest asks for a department to be served by another node.
type MoveRequest struct {
	To      bus.NodeID `json:"to" doc:"node that is to serve the department"`
	Abandon bool       `json:"abandon,omitempty" doc:"without its events: the node that serves it is lost for good"`
}

// DepartmentMove says where a department is, what it has there, and how far its move has
// come, if one is under way.
type DepartmentMove struct {
	Department bus.USCC     `json:"department"`
	Home       bus.NodeID   `json:"home"`              // serves it
	Epoch      bus.Revision `json:"epoch"`             // of the move that brought it there; 0: it never moved
	State      string       `json:"state,omitempty"`   // at its home: kept, sealed
	Total      MoveTally    `json:"total"`             // what it has there; without events where the home is silent
	Move       *bus.Move    `json:"move,omitempty"`    // under way
	Arrival    string       `json:"arrival,omitempty"` // at the new node: importing, kept
	Done       int64        `json:"done,omitempty"`    // bytes that have come in there
	Silent     []bus.NodeID `json:"silent,omitempty"`  // did not answer
}

// MoveTally is what a department has at its node.
type MoveTally struct {
	Resources     int   `json:"resources"`     // that it provides
	Events        int64 `json:"events"`        // of those
	Subscriptions int   `json:"subscriptions"` // to those
	Inboxes       int   `json:"inboxes"`       // of its own subscriptions
	Waiting       int64 `json:"waiting"`       // events in them
	Sinks         int   `json:"sinks"`         // of those subscriptions
	Bindings      int   `json:"bindings"`      // of those resources
	Bytes         int64 `json:"bytes"`         // of all that; estimated until a move has counted them
}

// DraftPage is a page of drafts; Next names the last one where there are more.
type DraftPage struct {
	Items []bus.Draft    `json:"items"`
	Next  bus.ResourceID `json:"next,omitempty"`
}

// DraftSubmission puts drafts up for review.
type DraftSubmission struct {
	Drafts []bus.DraftRef `json:"drafts"`
}

// DraftReview answers submissions.
type DraftReview struct {
	Drafts  []bus.DraftRef `json:"drafts"`
	Approve bool           `json:"approve"`
	Opinion string         `json:"opinion,omitempty" doc:"needed where they are returned"`
}

// DraftImport takes in many drafts, each for itself. One without an id is that of
// whoever has its first code, else gets one made from it (bus.ResourceIDOf).
type DraftImport struct {
	Drafts []bus.DraftContent `json:"drafts"`
	Submit bool               `json:"submit,omitempty" doc:"put the complete ones up for review"`
	DryRun bool               `json:"dry_run,omitempty" doc:"say what would become of each, and write nothing"`
}

// WithdrawalRequest asks for a resource to leave the directory.
type WithdrawalRequest struct {
	Reason string `json:"reason"`
}

// TriggerRecord records what makes a change of a catalogue entry due.
type TriggerRecord struct {
	Kind        bus.TriggerKind `json:"kind"`
	At          time.Time       `json:"at"`
	Description string          `json:"description"`
}

// ExtensionRequest asks for more time for a change.
type ExtensionRequest struct {
	Days   int    `json:"days"`
	Reason string `json:"reason"`
}

// Consent answers a request for more time.
type Consent struct {
	Approve bool   `json:"approve"`
	Opinion string `json:"opinion,omitempty"`
}

// ClaimVerdict decides between the source of an item and a resource that disputes
// it.
type ClaimVerdict struct {
	Resource bus.ResourceID `json:"resource"` // the one that disputes it
	Transfer bool           `json:"transfer"` // it is the source from now on
	Reason   string         `json:"reason"`
}

// Days are announced days of the calendar.
type Days struct {
	Days []calendar.Day `json:"days"`
}

// DueAnswer is when a term of working days ends.
type DueAnswer struct {
	Last string `json:"last"` // the last day, "2006-01-02"
	bus.Deadline
}

// Rows answers many drafts, in their order.
type Rows struct {
	Rows []bus.ImportRow `json:"rows"`
}

// CheckState is how a check of a node came out.
type CheckState string

// The states of a check.
const (
	CheckOK      CheckState = "ok"
	CheckWarn    CheckState = "warn" // works, and should be seen to
	CheckFail    CheckState = "fail"
	CheckSkipped CheckState = "skipped" // could not be made here
)

// Check is one thing that gxbus doctor looked at.
type Check struct {
	Name   string     `json:"name"`
	State  CheckState `json:"state"`
	Detail bus.Text   `json:"detail"`
	Next   bus.Text   `json:"next,omitzero"` // what to do, where it is not well
}

// BackupRequest asks for a backup.
type BackupRequest struct {
	RecoveryKey string `json:"recovery_key,omitempty" doc:"public part of the recovery key; the configured one where left out"`
}

// LayerActivation says why the draft of a policy layer is put in force.
type LayerActivation struct {
	Note string `json:"note,omitempty"`
}

// Confirmation names suspended grants that are to stand again.
type Confirmation struct {
	Grants []bus.GrantID `json:"grants"`
}

// Empty is a body that says nothing.
type Empty struct{}

// ApplicationPage is a page of applications; Next names the last one where there
// are more.
type ApplicationPage struct {
	Items []bus.Application `json:"items"`
	Next  bus.ApplicationID `json:"next,omitempty"`
}

// Verdict is an answer to an application.
type Verdict string

// The verdicts.
const (
	VerdictApprove Verdict = "approve" // 同意
	VerdictRefuse  Verdict = "refuse"  // 不予同意
	VerdictReturn  Verdict = "return"  // 一次性告知补正
)

// ApplicationAnswer answers an application.
type ApplicationAnswer struct {
	Verdict Verdict   `json:"verdict" enum:"approve,refuse,return"`
	Terms   bus.Terms `json:"terms,omitzero" doc:"of a consent to less than was applied for"`
	Opinion string    `json:"opinion,omitempty" doc:"needed but for a consent to all of it"`
}

// ApplicationWithdrawal takes an application back.
type ApplicationWithdrawal struct {
	Reason string `json:"reason,omitempty"`
}

// GrantStop interferes with a grant.
type GrantStop struct {
	Step   bus.GrantStep `json:"step" enum:"suspend,rectify,resume"`
	Reason string        `json:"reason"`
	Days   int           `json:"days,omitempty" doc:"of a rectification: working days to do it in, 1–60"`
}
