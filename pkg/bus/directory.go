package bus

import (
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Revision is the directory index at which an entry last changed; 0 means it
// does not exist. It only grows.
type Revision uint64

// Node is a member of the bus.
type Node struct {
	ID          NodeID       `json:"id"`
	Division    DivisionCode `json:"division"`
	PeerAddress string       `json:"peer_address"` // host:port other nodes dial; empty: it takes no connections, see Relayed
	APIAddress  string       `json:"api_address"`  // host:port agencies dial
	Voter       bool         `json:"voter"`        // meant to vote; it does once it has caught up
	CA          bool         `json:"ca,omitempty"` // holds the cluster's signing key
	EvidenceKey string       `json:"evidence_key"` // note verifier key of its evidence log
	Joined      time.Time    `json:"joined"`
	Revision    Revision     `json:"revision"`

	Draining bool      `json:"draining,omitempty"` // it takes on nothing new and gives up what it can
	Key      []byte    `json:"key,omitempty"`      // SHA-256 of its public key: no other certificate is believed
	Root     string    `json:"root,omitempty"`     // fingerprint of the root that its certificate is under
	Expires  time.Time `json:"expires,omitzero"`   // its certificate
}

// Votes reports whether n is meant to vote now.
func (n Node) Votes() bool { return n.Voter && !n.Draining }

// Root is a root certificate that the nodes of the bus are certified under
// (集群根证书). There is one, and while it is replaced there are two.
type Root struct {
	Fingerprint string    `json:"fingerprint"`     // hex SHA-256 of Certificate
	Certificate []byte    `json:"certificate"`     // DER
	Holder      NodeID    `json:"holder"`          // has its key
	Cross       []byte    `json:"cross,omitempty"` // DER: the same root, signed by the one before it
	Added       time.Time `json:"added,omitzero"`
	Revision    Revision  `json:"revision"`
}

// Check returns every defect of n that shows without looking anything up.
func (n Node) Check() []Defect {
	defects := CheckID("id", n.ID)
	if n.Division == "" {
		defects = append(defects, missing("division"))
	}
	switch {
	case !n.Relayed():
		defects = append(defects, checkDialable("peer_address", n.PeerAddress)...)
	case n.Voter:
		defects = append(defects, Defect{"peer_address", Text{"表决成员必须能被其他节点连接", "a voter must be dialled by the others"}, "host:port, or a node that does not vote"})
	}
	defects = append(defects, checkDialable("api_address", n.APIAddress)...)
	if n.PeerAddress == n.APIAddress && n.PeerAddress != "" {
		defects = append(defects, Defect{"api_address", Text{"与节点间地址相同", "the same as peer_address"}, "another port"})
	}
	return defects
}

// Relayed reports whether n takes no connections of other nodes: it holds one
// with the node above it, which relays what others have for it.
func (n Node) Relayed() bool { return n.PeerAddress == "" }

// checkDialable returns the defect of an address that others are to dial: one of
// no host in particular ("0.0.0.0") can be listened on, not reached.
func checkDialable(field, address string) []Defect {
	if defects := CheckAddress(field, address); len(defects) > 0 {
		return defects
	}
	if at, err := netip.ParseAddrPort(address); err == nil && at.Addr().IsUnspecified() {
		return []Defect{{field, Text{"不是可连接的地址", "not an address that others can dial"}, "a host name or address of this machine, and a port"}}
	}
	return nil
}

// CheckAddress returns the defect of a host:port address, if it has one. IPv6
// zones are refused: they mean nothing on another machine.
func CheckAddress(field, address string) []Defect {
	host, port, err := net.SplitHostPort(address)
	number, portErr := strconv.ParseUint(port, 10, 16)
	plain := err == nil && portErr == nil && address == net.JoinHostPort(host, strconv.FormatUint(number, 10))
	if plain && number > 0 && validHost(host) {
		return nil
	}
	return []Defect{{field, Text{"地址格式不正确", "not an address"}, "host:port, port 1–65535"}}
}

var (
	hostLabel = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$`)
	digits    = regexp.MustCompile(`^[0-9]+$`)
)

// validHost accepts an IP address or a DNS name. A name that ends in a number
// is refused: resolvers read "127.1" and "2130706433" as IPv4 addresses.
func validHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == ""
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if !hostLabel.MatchString(label) {
			return false
		}
	}
	return len(host) <= 253 && !digits.MatchString(labels[len(labels)-1])
}

// Token admits one node once (入网令牌). Only its hash is stored.
type Token struct {
	ID         TokenID      `json:"id"`
	Node       NodeID       `json:"node"`
	Division   DivisionCode `json:"division"`
	Voter      bool         `json:"voter"`
	SecretHash []byte       `json:"secret_hash,omitempty"` // SHA-256
	Expires    time.Time    `json:"expires"`
	UsedBy     []byte       `json:"used_by,omitempty"` // SHA-256 of the key that redeemed it
	Revision   Revision     `json:"revision"`
}

// Department is a government department (部门).
type Department struct {
	ID       USCC         `json:"id"`
	Name     string       `json:"name"`
	Division DivisionCode `json:"division"`
	Node     NodeID       `json:"node,omitempty"` // its node, where it is not its division's
	Revision Revision     `json:"revision"`

	Epoch     Revision `json:"epoch,omitempty"`     // of the move that brought it to its node; 0: it never moved
	Abandoned uint64   `json:"abandoned,omitempty"` // how often it moved without its events
	Move      *Move    `json:"move,omitempty"`      // under way
}

// Move takes a department from the node that serves it to another
// (部门迁移).
type Move struct {
	From    NodeID    `json:"from"`
	To      NodeID    `json:"to"`
	Epoch   Revision  `json:"epoch"`             // index at which it began: moves are told apart and ordered by it
	Abandon bool      `json:"abandon,omitempty"` // without the events, for From is lost
	Began   time.Time `json:"began"`
}

// numbering is how many sequence numbers lie between two abandonments of a
// department: more than a node can give out, and few enough that thousands of
// abandonments stay below 2⁵³, where JSON numbers stop being exact.
const numbering = 1 << 40

// Base is the number that sequence numbers of d's resources are above: 0 where
// it was never abandoned.
func (d Department) Base() uint64 { return d.Abandoned * numbering }

// Check returns every defect of d that shows without looking anything up.
func (d Department) Check() []Defect {
	defects := checkUSCC("id", d.ID)
	if strings.TrimSpace(d.Name) == "" {
		defects = append(defects, missing("name"))
	}
	if d.Division == "" {
		defects = append(defects, missing("division"))
	}
	return defects
}

// System is an information system of a department that calls the bus (业务系统).
type System struct {
	ID         SystemID `json:"id"`
	Department USCC     `json:"department"`
	Name       string   `json:"name"`
	SecretHash []byte   `json:"secret_hash,omitempty"` // of an entry that creates it: SHA-256 of its first bearer's secret; see Current
	Disabled   bool     `json:"disabled,omitempty"`
	Revision   Revision `json:"revision"`

	SigningRequired bool         `json:"signing_required,omitempty"` // a request that is not signed is refused
	Credentials     []Credential `json:"credentials,omitempty"`
}

// Check returns every defect of s that shows without looking anything up.
func (s System) Check() []Defect {
	defects := CheckID("id", s.ID)
	if strings.TrimSpace(s.Name) == "" {
		defects = append(defects, missing("name"))
	}
	return append(defects, checkUSCC("department", s.Department)...)
}

// Source is the CloudEvents source that s publishes under; deeper paths below
// it are its own too.
func (s System) Source() string { return "/systems/" + string(s.ID) }

// below is what may follow a system's own source. Dot segments, escapes and
// anything but ASCII are refused: a consumer that resolves them would read
// another system's name.
var below = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)

// OwnsSource reports whether a CloudEvents source belongs to s: its own source,
// or that and segments of A–Z, a–z, 0–9, "." (not first), "_", "~" and "-".
func (s System) OwnsSource(source string) bool {
	rest, ok := strings.CutPrefix(source, s.Source())
	return ok && below.MatchString(rest)
}

// Role is what an account may do.
type Role string

// The roles. One account has one of them, and never another. The first three are
// the separated administrators (三员分立, 等级保护第三级); the others belong to a
// department.
const (
	RoleSystemAdministrator   Role = "system-administrator"   // 系统管理员
	RoleSecurityAdministrator Role = "security-administrator" // 安全管理员
	RoleAuditor               Role = "auditor"                // 审计管理员
	RoleOperator              Role = "department-operator"    // 部门经办人: compiles and submits
	RoleReviewer              Role = "department-reviewer"    // 部门审核人: reviews, where its department is an authority
)

// Roles lists all roles.
func Roles() []Role {
	return []Role{RoleSystemAdministrator, RoleSecurityAdministrator, RoleAuditor, RoleOperator, RoleReviewer}
}

// Administrator reports whether r is one of the three separated administrators.
func (r Role) Administrator() bool {
	return r == RoleSystemAdministrator || r == RoleSecurityAdministrator || r == RoleAuditor
}

// Departmental reports whether r is a role of a department.
func (r Role) Departmental() bool { return r == RoleOperator || r == RoleReviewer }

// Account is a person's sign-in with one role.
type Account struct {
	Name         string   `json:"name"`
	Role         Role     `json:"role"`
	Department   USCC     `json:"department,omitempty"`    // of a departmental role
	PasswordHash string   `json:"password_hash,omitempty"` // argon2id, PHC string
	MustChange   bool     `json:"must_change"`             // the password was handed out, not chosen
	Disabled     bool     `json:"disabled,omitempty"`
	Revision     Revision `json:"revision"`
}

// Check returns every defect of a that shows without looking anything up.
func (a Account) Check() []Defect {
	defects := CheckID("name", a.Name)
	defects = append(defects, oneOf("role", a.Role, Roles())...)
	switch {
	case a.Role.Departmental():
		defects = append(defects, checkUSCC("department", a.Department)...)
	case a.Department != "":
		defects = append(defects, Defect{"department", Text{"三员账户不属于任何部门", "a separated administrator belongs to no department"}, "none"})
	}
	return defects
}

// Principal gives the principal that acts when a is signed in.
func (a Account) Principal() Principal {
	return Principal{Account: a.Name, Role: a.Role, Department: a.Department}
}

// Principal is who acts: an account with a role (and a department, where the role
// is one of a department), or a system of a department, or a node acting for the
// cluster itself.
type Principal struct {
	Account    string   `json:"account,omitempty"`
	Role       Role     `json:"role,omitempty"`
	System     SystemID `json:"system,omitempty"`
	Department USCC     `json:"department,omitempty"`
	Node       NodeID   `json:"node,omitempty"`
}

// String gives the principal as one word for logs and evidence.
func (p Principal) String() string {
	switch {
	case p.Account != "":
		return "account:" + p.Account
	case p.System != "":
		return "system:" + string(p.System)
	case p.Node != "":
		return "node:" + string(p.Node)
	default:
		return "anonymous"
	}
}

// Checkpoint is the head of a node's evidence log as the whole bus knows it.
type Checkpoint struct {
	Node     NodeID    `json:"node"`
	Size     int64     `json:"size"` // leaves
	Root     []byte    `json:"root"` // RFC 6962 tree head, 32 bytes
	Note     string    `json:"note"` // signed note that says so
	At       time.Time `json:"at"`
	Revision Revision  `json:"revision"`
}

func missing(field string) Defect {
	return Defect{Field: field, Problem: Text{"必填", "required"}}
}
