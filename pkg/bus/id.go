package bus

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

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

// maxNumber is how many bytes the number of a case or a matter has at most: so much
// of it is indexed in evidence.
const maxNumber = 512

// CheckNumber returns the defect of a case's number (办件号) or a matter's code
// (实施清单编码): it comes from outside, stands in each leaf of evidence, and may be
// empty.
func CheckNumber(field, text string) []Defect {
	if len(text) <= maxNumber && utf8.ValidString(text) && strings.IndexFunc(text, unicode.IsControl) < 0 {
		return nil
	}
	return []Defect{{field, Text{"过长，或含控制字符", "too long, or has control characters"}, fmt.Sprintf("at most %d bytes of text", maxNumber)}}
}

// CheckBasis returns the defects of the basis of a use (使用依据): a text as short as a
// number, and as little about a person. It may be empty.
func CheckBasis(field, text string) []Defect {
	return append(CheckNumber(field, text), CheckImpersonal(field, text)...)
}

var pseudonym = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$`)

// CheckOperator returns the defect of what a call names the person by who makes it
// (经办人代号): a pseudonym that the person's agency alone can resolve, or nothing. It
// stands in evidence for years; an identity or a mobile number is refused, that it is
// no name is the agency's to see to.
func CheckOperator(field, text string) []Defect {
	if text == "" || pseudonym.MatchString(text) && !personal(text) {
		return nil
	}
	return []Defect{{field, Text{"须为本单位的经办人代号，不得为姓名、身份证号或手机号", "not a pseudonym: no name, identity or mobile number"}, "1–64 of A–Z, a–z, 0–9 and inner . _ -"}}
}
