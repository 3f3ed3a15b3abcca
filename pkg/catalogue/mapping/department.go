package mapping

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
)

// departments are the providers met so far.
type departments struct {
	byCode map[bus.USCC]bus.Department
	codes  map[bus.Department]bus.USCC // by name and division
}

// Departments returns the providers of the records read so far, by code: they
// must be in the directory before the entries are.
func (m *Mapping) Departments() []bus.Department {
	var all []bus.Department
	for _, d := range m.departments.byCode {
		all = append(all, d)
	}
	slices.SortFunc(all, func(a, b bus.Department) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// provider finds the code of a record's provider.
func (w *work) provider() (bus.USCC, bool) {
	p := w.m.file.Provider
	name, ok := w.single("provider", p.Name)
	if !ok {
		return "", false
	}
	division, ok := w.single("provider.division", p.Division)
	if !ok {
		return "", false
	}
	if p.Name.Synthetic || p.Division.Synthetic {
		w.synthetic("provider.division")
	}
	known := bus.Department{Name: name, Division: bus.DivisionCode(division)}
	code, madeUp := w.code(known)
	if code == "" {
		w.note(catalogue.Refused, "provider", "没有提供方 "+brief(name)+" 的代码", "no code for the provider "+brief(name), "")
		return "", false
	}
	if madeUp {
		w.synthetic("provider")
	}
	if _, seen := w.m.departments.codes[known]; seen {
		return code, true
	}
	if twin, taken := w.m.departments.byCode[code]; taken && madeUp {
		w.note(catalogue.Refused, "provider", "合成代码与 "+twin.Name+" 重复", "its synthetic code is also that of "+twin.Name, "a code in a table")
		return "", false
	} else if !taken {
		called := name
		if p.Called != "" {
			called = w.fill(strings.ReplaceAll(p.Called, "{name}", name))
		}
		w.m.departments.byCode[code] = bus.Department{ID: code, Name: called, Division: known.Division}
	}
	w.m.departments.codes[known] = code
	return code, true
}

// code finds the code of a provider: that of the table, else one that is made up.
func (w *work) code(d bus.Department) (code bus.USCC, madeUp bool) {
	p := w.m.file.Provider
	if listed := w.m.file.Tables[p.Codes][d.Name]; listed != nil {
		return bus.USCC(*listed), false
	}
	if !p.Synthetic {
		return "", false
	}
	if code, seen := w.m.departments.codes[d]; seen {
		return code, true
	}
	return syntheticCode(d.Division, d.Name), true
}

// single is a rule that has to give one value.
func (w *work) single(at string, r rule) (string, bool) {
	made, ok := w.apply(at, r)
	if ok && len(made) == 0 {
		w.note(catalogue.Refused, at, "来源为空", "empty at the source", "")
	}
	if !ok || len(made) == 0 {
		return "", false
	}
	return made[0], true
}

// syntheticCode makes a unified social credit code out of a name: the same one
// for the same name, with both check digits right. Its organisation code begins
// with X, which no issued one does.
func syntheticCode(division bus.DivisionCode, name string) bus.USCC {
	const alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s", division, name))
	n := binary.BigEndian.Uint64(sum[:])
	body := []byte("X0000000")
	for i := 1; i < len(body); i++ {
		body[i] = alphabet[n%uint64(len(alphabet))]
		n /= uint64(len(alphabet))
	}
	region := (string(division) + "000000")[:6]
	for _, check := range "0123456789X" {
		for _, last := range alphabet {
			if code := bus.USCC(fmt.Sprintf("11%s%s%c%c", region, body, check, last)); code.Valid() {
				return code
			}
		}
	}
	return "" // a division that is not of digits
}
