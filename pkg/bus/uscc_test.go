package bus_test

import (
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

// realUSCCs are codes of real departments, as they are published.
var realUSCCs = []bus.USCC{
	"114400000069401674", "11440000006939561H", "11441400007208381Y", "11441300007188069T", "114420000073327379",
}

func TestRealCodesAreValid(t *testing.T) {
	for _, code := range realUSCCs {
		if defect := code.Check(); defect != nil {
			t.Errorf("%s: %+v", code, defect)
		}
		if !code.Valid() {
			t.Errorf("%s is not valid", code)
		}
	}
}

// Weights that are powers of 3 modulo the prime 31 find every single wrong
// character, whatever it is replaced with.
func TestEverySingleCharacterMutationOfACodeIsRefused(t *testing.T) {
	for _, code := range realUSCCs {
		for at := range len(code) {
			for c := range 256 {
				if byte(c) == code[at] {
					continue
				}
				mutant := code[:at] + bus.USCC([]byte{byte(c)}) + code[at+1:]
				if mutant.Valid() {
					t.Fatalf("%q, from %s at %d, is accepted", mutant, code, at)
				}
			}
		}
	}
}

func TestSwappedNeighboursInACodeAreRefused(t *testing.T) {
	for _, code := range realUSCCs {
		for at := range len(code) - 1 {
			swapped := []byte(code)
			swapped[at], swapped[at+1] = swapped[at+1], swapped[at]
			if bus.USCC(swapped) != code && bus.USCC(swapped).Valid() {
				t.Errorf("%s, from %s at %d, is accepted", swapped, code, at)
			}
		}
	}
}

func TestCodeDefectsSayWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		code bus.USCC
		want string
	}{
		{"", "18 characters"},
		{"11440000006940167", "18 characters"},
		{"1144000000694016744", "18 characters"},
		{"１14400000069401674", "18 characters"}, // a full-width digit is three bytes
		{"I14400000069401674", "outside the alphabet"},
		{"11440000006939561h", "the check digit is wrong"},
		{"114400000069401675", "the check digit is wrong"},
		{"114400000069401687", "organisation code"}, // GB 32100 agrees, GB 11714 does not
		{"11440000000000001A", "organisation code"}, // where it should be 0
		{"1144000000000006AC", "organisation code"}, // where it should be X
	} {
		defect := tc.code.Check()
		if defect == nil {
			t.Errorf("%q is accepted", tc.code)
			continue
		}
		if !strings.Contains(defect.Problem.EN, tc.want) || defect.Problem.ZH == "" || defect.Allowed == "" {
			t.Errorf("%q: %+v, want %q", tc.code, *defect, tc.want)
		}
	}
}

func TestOrganisationCodeCheckDigitsXAndZero(t *testing.T) {
	for _, made := range []bus.USCC{"1144000000000006X7", "114400000000000007", "11440000MA59ABCD12"} {
		if defect := made.Check(); defect != nil {
			t.Errorf("%s: %+v", made, *defect)
		}
	}
}

func TestIDNumbers(t *testing.T) {
	for _, good := range []string{
		"11010519491231002X", // the example of GB 11643
		"440106199001010013", "44010619900101003X", "440306198512301230",
	} {
		if !bus.ValidIDNumber(good) {
			t.Errorf("%s is refused", good)
		}
		for at := range 17 {
			for digit := byte('0'); digit <= '9'; digit++ {
				mutant := good[:at] + string(digit) + good[at+1:]
				if mutant != good && bus.ValidIDNumber(mutant) {
					t.Errorf("%s, from %s, is accepted", mutant, good)
				}
			}
		}
	}
	// Characters next to the digits, which would count as −1 and 10.
	for _, foreign := range []string{"/", ":"} {
		for at := range 17 {
			for _, check := range "0123456789X" {
				if s := "11010519491231002"[:at] + foreign + "11010519491231002"[at+1:] + string(check); bus.ValidIDNumber(s) {
					t.Errorf("%s is accepted", s)
				}
			}
		}
	}
	for _, bad := range []string{
		"", "11010519491231002", "11010519491231002x", "110105194912310020", "1101051949123100２", "1101051949123100 X", "X1010519491231002X",
	} {
		if bus.ValidIDNumber(bad) {
			t.Errorf("%q is accepted", bad)
		}
	}
}
