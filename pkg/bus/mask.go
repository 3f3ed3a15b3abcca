package bus

// MaskMethod says what a mask leaves of a value.
type MaskMethod string

// The mask methods.
const (
	MaskDrop      MaskMethod = "drop"      // the item is left out
	MaskNull      MaskMethod = "null"      // the value becomes null
	MaskVerify    MaskMethod = "verify"    // 核验: true or false, whether there is a value
	MaskPseudonym MaskMethod = "pseudonym" // a keyed code, the same for the same value under one grant
	MaskSurname   MaskMethod = "surname"   // the surname, the rest starred
	MaskCounty    MaskMethod = "county"    // an address cut after its county
	MaskYear      MaskMethod = "year"      // the year of a date, or of birth of an ID number
	MaskKeep      MaskMethod = "keep"      // head and tail characters, the rest starred
)

// stars is the mask that leaves a value nothing but stars.
var stars = Mask{Method: MaskKeep}

// rank orders the methods by what a masked value, looked at alone, tells of the
// value: nothing, that there is a key, that there is a value, a part of it. A
// pseudonym tells no more of it than verify does, but values can be compared. An
// unknown method comes before all, so that it shows rather than being covered by
// one that can be applied.
func (m Mask) rank() int {
	switch m.Method {
	case MaskDrop:
		return 1
	case MaskNull:
		return 2
	case MaskVerify:
		return 3
	case MaskPseudonym:
		return 4
	case MaskSurname, MaskCounty, MaskYear:
		return 6
	case MaskKeep:
		if m == stars {
			return 5
		}
		return 6
	default:
		return 0
	}
}

// Mask says how the value of one item is masked.
type Mask struct {
	Method MaskMethod `json:"method"`
	Head   int        `json:"head,omitempty"` // characters kept in front, MaskKeep
	Tail   int        `json:"tail,omitempty"` // characters kept at the end, MaskKeep
}

// Valid reports whether m is a mask that the bus can apply.
func (m Mask) Valid() bool {
	return m.rank() > 0 && m.Head >= 0 && m.Tail >= 0
}

// Stricter returns a mask that leaves nothing of a value that m or other hides:
// of two MaskKeep the shorter head and the shorter tail, of two different methods
// that leave different parts of a value stars, else the one that leaves less.
func (m Mask) Stricter(other Mask) Mask {
	mine, theirs := m.rank(), other.rank()
	switch {
	case m.Method == MaskKeep && other.Method == MaskKeep:
		return Mask{MaskKeep, min(m.Head, other.Head), min(m.Tail, other.Tail)}
	case m.Method == other.Method || mine < theirs:
		return Mask{Method: m.Method}
	case theirs < mine:
		return Mask{Method: other.Method}
	case mine > 0:
		return stars
	default: // both unknown
		return Mask{Method: min(m.Method, other.Method)}
	}
}
