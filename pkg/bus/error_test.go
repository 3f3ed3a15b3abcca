package bus_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/gxbus/gxbus/pkg/bus"
)

// declaredCodes reads the Code constants from the source, so that one without a
// line in the table is found.
func declaredCodes(t *testing.T) []bus.Code {
	t.Helper()
	syntax, err := parser.ParseFile(token.NewFileSet(), "error.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var codes []bus.Code
	ast.Inspect(syntax, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Type == nil {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Code" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, bus.Code(value))
		}
		return true
	})
	slices.Sort(codes)
	return codes
}

func TestEveryCodeHasItsKindAndBothTexts(t *testing.T) {
	declared := declaredCodes(t)
	if len(declared) < 20 {
		t.Fatalf("found only %d codes in the source", len(declared))
	}
	if !slices.Equal(declared, bus.Codes()) {
		t.Errorf("declared %v\nlisted   %v", declared, bus.Codes())
	}
	kebab := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	texts := map[bus.Text]bus.Code{}
	for _, code := range declared {
		if !kebab.MatchString(string(code)) {
			t.Errorf("%s is not in kebab case, as the code of a problem document is", code)
		}
		if kind := code.Kind(); (kind == bus.KindInternal) != (code == bus.CodeInternal) || kind < bus.KindInternal || kind > bus.KindLate {
			t.Errorf("%s is of kind %d", code, kind)
		}
		text := code.Text()
		if !hasHan(text.ZH) || text.EN == "" || hasHan(text.EN) {
			t.Errorf("%s has the texts %+v", code, text)
		}
		if other, ok := texts[text]; ok {
			t.Errorf("%s and %s say the same", code, other)
		}
		texts[text] = code
	}
}

func TestUnknownCodeIsOurFault(t *testing.T) {
	unknown := bus.Code("no-such-code")
	if unknown.Kind() != bus.KindInternal || unknown.Text() != bus.CodeInternal.Text() {
		t.Errorf("kind %d, text %+v", unknown.Kind(), unknown.Text())
	}
}

func TestErrorForLogsHasCodeDefectsAndCause(t *testing.T) {
	err := bus.E(bus.CodeInvalid,
		bus.Defect{Field: "name", Problem: bus.Text{ZH: "必填", EN: "required"}},
		bus.Defect{Field: "open", Problem: bus.Text{EN: "not allowed"}, Allowed: "yes, no"},
	).Because(fs.ErrClosed)
	const want = "invalid-argument: the request is not valid: name: required; open: not allowed (allowed: yes, no): file already closed"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
	if !errors.Is(err, fs.ErrClosed) {
		t.Error("the cause is lost")
	}
	if got := bus.E(bus.CodeNoLeader).Error(); got != "no-leader: the directory has no leader now; try again" {
		t.Errorf("got %s", got)
	}
}

func TestCodeOf(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want bus.Code
	}{
		{nil, ""},
		{fs.ErrClosed, bus.CodeInternal},
		{bus.E(bus.CodeDenied), bus.CodeDenied},
		{fmt.Errorf("publish: %w", bus.E(bus.CodeDenied)), bus.CodeDenied},
		{bus.E(bus.CodeUnavailable).Because(bus.E(bus.CodeDenied)), bus.CodeUnavailable},
		{errors.Join(fs.ErrClosed, bus.E(bus.CodeTooLarge)), bus.CodeTooLarge},
	} {
		if got := bus.CodeOf(tc.err); got != tc.want {
			t.Errorf("CodeOf(%v) = %q, want %q", tc.err, got, tc.want)
		}
	}
}

func TestInvalidIsNilWithoutDefects(t *testing.T) {
	if err := bus.Invalid(nil); err != nil {
		t.Errorf("got %v", err)
	}
	err := bus.Invalid([]bus.Defect{{Field: "a"}, {Field: "b"}})
	if got, ok := errors.AsType[*bus.Error](err); !ok || got.Code != bus.CodeInvalid || fields(got.Defects) != "a b" {
		t.Errorf("got %v", err)
	}
}

func TestNotFoundNamesWhatWasLookedFor(t *testing.T) {
	err := bus.NotFound("resource", "sz-firms")
	if err.Code != bus.CodeNotFound || len(err.Defects) != 1 {
		t.Fatalf("got %+v", err)
	}
	for _, lang := range []bus.Lang{bus.English, bus.Chinese} {
		if line := err.Defects[0].In(lang); !strings.HasPrefix(line, "resource: ") || !strings.Contains(line, "sz-firms") {
			t.Errorf("%s: %s", lang, line)
		}
	}
}

func TestTextFallsBackToTheOtherLanguage(t *testing.T) {
	both := bus.Text{ZH: "必填", EN: "required"}
	for _, tc := range []struct {
		text bus.Text
		lang bus.Lang
		want string
	}{
		{both, bus.English, "required"},
		{both, bus.Chinese, "必填"},
		{both, "fr", "required"},
		{bus.Text{ZH: "必填"}, bus.English, "必填"},
		{bus.Text{EN: "required"}, bus.Chinese, "required"},
		{bus.Text{}, bus.Chinese, ""},
	} {
		if got := tc.text.In(tc.lang); got != tc.want {
			t.Errorf("%+v in %s is %q, want %q", tc.text, tc.lang, got, tc.want)
		}
	}
}

func TestDefectAsALine(t *testing.T) {
	d := bus.Defect{Field: "open", Problem: bus.Text{ZH: "取值不允许", EN: "value not allowed"}, Allowed: "yes, no"}
	if got := d.In(bus.Chinese); got != "open: 取值不允许（允许：yes, no）" {
		t.Errorf("got %s", got)
	}
	if got := d.In(bus.English); got != "open: value not allowed (allowed: yes, no)" {
		t.Errorf("got %s", got)
	}
	if got := (bus.Defect{Problem: bus.Text{EN: "empty"}}).In(bus.English); got != "empty" {
		t.Errorf("got %s", got)
	}
}

func hasHan(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}
