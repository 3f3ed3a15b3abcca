package bus

import "strings"

// USCC is a unified social credit code (统一社会信用代码, GB 32100): 18
// characters, the last a check digit over the first 17; characters 9 to 17 are
// an organisation code with a check digit of its own (GB 11714).
type USCC string

const usccAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"

// Valid reports whether both check digits of c are right.
func (c USCC) Valid() bool { return c.Check() == nil }

// Check returns nil or says what is wrong with c.
func (c USCC) Check() *Defect {
	s := string(c)
	const allowed = "18 of " + usccAlphabet
	if len(s) != 18 {
		return &Defect{"uscc", Text{"统一社会信用代码应为 18 位", "a unified social credit code has 18 characters"}, allowed}
	}
	sum, weight := 0, 1
	for i := range 17 {
		value := strings.IndexByte(usccAlphabet, s[i])
		if value < 0 {
			return &Defect{"uscc", Text{"含有不允许的字符", "has a character outside the alphabet"}, allowed}
		}
		sum += value * weight
		weight = weight * 3 % 31
	}
	if want := usccAlphabet[(31-sum%31)%31]; s[17] != want {
		return &Defect{"uscc", Text{"校验码错误", "the check digit is wrong"}, "a last character that matches GB 32100"}
	}
	if !validOrganisationCode(s[8:17]) {
		return &Defect{"uscc", Text{"第 9–17 位组织机构代码校验码错误", "characters 9–17 fail the organisation code's check digit"}, "an organisation code that matches GB 11714"}
	}
	return nil
}

// checkUSCC returns the defect of a department's code in field, if it has one.
func checkUSCC(field string, c USCC) []Defect {
	if c == "" {
		return []Defect{missing(field)}
	}
	defect := c.Check()
	if defect == nil {
		return nil
	}
	defect.Field = field
	return []Defect{*defect}
}

// validOrganisationCode checks the nine characters of a GB 11714 code.
func validOrganisationCode(s string) bool {
	weights := [8]int{3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			sum += int(c-'0') * w
		case c >= 'A' && c <= 'Z':
			sum += (int(c-'A') + 10) * w
		default:
			return false
		}
	}
	switch check := 11 - sum%11; check {
	case 10:
		return s[8] == 'X'
	case 11:
		return s[8] == '0'
	default:
		return s[8] == byte('0'+check)
	}
}

// ValidIDNumber reports whether s is a resident identity number
// (居民身份证号, GB 11643): 17 digits and a check character.
func ValidIDNumber(s string) bool {
	if len(s) != 18 {
		return false
	}
	weights := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		sum += int(s[i]-'0') * w
	}
	return s[17] == "10X98765432"[sum%11]
}
