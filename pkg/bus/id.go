package bus

import "regexp"

// Identifiers of the bus. Each is a type of its own so that a wrong one does
// not compile. All are ASCII; look-alike characters are refused, not folded.
type (
	// NodeID names a node: 1–63 of a–z, 0–9 and inner hyphens.
	NodeID string
	// SystemID names an agency system; same alphabet as NodeID.
	SystemID string
	// ResourceID names a resource in URLs; same alphabet as NodeID.
	ResourceID string
	// GrantID names a grant; same alphabet as NodeID.
	GrantID string
	// ApplicationID names an application; same alphabet as NodeID.
	ApplicationID string
	// SubscriptionID names a subscription; same alphabet as NodeID.
	SubscriptionID string
	// ItemID names an item (信息项) as it is spelt in the data: a letter or
	// underscore, then letters, digits and underscores, at most 64.
	ItemID string
	// EntityID names a kind of thing that data is about (实体), as "natural-person";
	// same alphabet as NodeID.
	EntityID string
	// LibraryID names a library of resources; same alphabet as NodeID.
	LibraryID string
	// CorrectionID names a correction (校核); same alphabet as NodeID.
	CorrectionID string
	// DisputeID names a dispute (争议); same alphabet as NodeID.
	DisputeID string
	// TokenID names a join token; same alphabet as NodeID.
	TokenID string
)

var (
	slug   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	itemID = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
)

const slugAllowed = "1–63 of a–z, 0–9 and inner hyphens"

// Valid reports whether id follows its alphabet.
func (id ItemID) Valid() bool { return itemID.MatchString(string(id)) }

// CheckID returns the defect of an identifier, if it has one.
func CheckID[T ~string](field string, id T) []Defect {
	if slug.MatchString(string(id)) {
		return nil
	}
	return []Defect{{field, Text{"标识格式不正确", "not a valid identifier"}, slugAllowed}}
}
