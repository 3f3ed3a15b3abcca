package policy

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Caps of a layer's source.
const (
	MaxSourceBytes = 256 << 10 // all files of a layer together
	MaxFiles       = 64
)

// Problem codes. They are stable.
const (
	ProblemLayerID    = "layer-id"              // not an id that a layer can have
	ProblemFileName   = "file-name"             // see AllowedFileName
	ProblemTooLarge   = "too-large"             // over MaxSourceBytes or MaxFiles
	ProblemParse      = "parse-error"           // not Rego v1
	ProblemPackage    = "wrong-package"         // not the layer's own package
	ProblemRule       = "forbidden-rule"        // a layer grants, or exports in a wrong form
	ProblemReference  = "foreign-reference"     // looks at another layer or at data
	ProblemBuiltin    = "built-in-not-allowed"  // not in Builtins
	ProblemWith       = "with-not-allowed"      // replaces what a policy is evaluated with
	ProblemNegation   = "negation-of-undefined" // "not f(x.y)" is skipped, not true, where x.y is absent
	ProblemTooHeavy   = "value-too-heavy"       // a value that grows out of hand by repeating itself
	ProblemCompile    = "compile-error"         // what OPA's strict compiler refuses
	ProblemNoExport   = "exports-nothing"       // none of the rules that layers have
	ProblemNoTests    = "no-tests"              // a layer comes with tests
	ProblemTestFailed = "test-failed"           // a test of the layer's own
	ProblemTooSlow    = "too-slow"              // over the deadline on the sample inputs
	ProblemResult     = "sample-failed"         // no usable answer on a sample input
)

// AllowedFileName is the pattern of a file's name in a layer; tests are in
// files whose name ends in _test.rego.
const AllowedFileName = `^[a-z0-9_]+\.rego$`

var fileName = regexp.MustCompile(AllowedFileName)

// LayerPackage returns the Rego package of a layer: "gxbus.base",
// "gxbus.division.d440100", "gxbus.department.d114400000069401674". It is false
// for an id that no layer can have, so an id never becomes query text unseen.
func LayerPackage(id bus.LayerID) (string, bool) {
	kind, of := id.Split()
	switch {
	case id == bus.BaseLayer:
		return "gxbus.base", true
	case kind == "division" && divisionCode.MatchString(of), kind == "department" && bus.USCC(of).Valid():
		return "gxbus." + kind + ".d" + of, true
	}
	return "", false
}

var divisionCode = regexp.MustCompile(`^\d{6}(\d{3})?$`)

// source is a layer's parsed text.
type source struct {
	language *language
	layer    bus.LayerID
	path     ast.Ref // data.gxbus.…
	modules  map[string]*ast.Module
	tests    map[string]*ast.Module
}

// read parses a layer and returns every problem that shows without compiling.
func (l *language) read(layer bus.Layer) (*source, []bus.LayerProblem) {
	pkg, ok := LayerPackage(layer.ID)
	if !ok {
		return nil, []bus.LayerProblem{{Code: ProblemLayerID, Message: bus.Text{
			ZH: "策略层标识不正确；应为 division/行政区划代码 或 department/统一社会信用代码。",
			EN: "not a layer id; write division/CODE or department/USCC"}}}
	}
	if problems := checkSize(layer.Modules); problems != nil {
		return nil, problems
	}
	src := &source{language: l, layer: layer.ID, path: ast.MustParseRef("data." + pkg),
		modules: map[string]*ast.Module{}, tests: map[string]*ast.Module{}}
	var problems []bus.LayerProblem
	for _, file := range slices.Sorted(maps.Keys(layer.Modules)) {
		problems = append(problems, src.readFile(file, layer.Modules[file])...)
	}
	if len(problems) == 0 {
		problems = src.vet()
	}
	return src, problems
}

func checkSize(modules map[string]string) []bus.LayerProblem {
	size := 0
	for _, text := range modules {
		size += len(text)
	}
	if size > MaxSourceBytes || len(modules) > MaxFiles {
		return []bus.LayerProblem{{Code: ProblemTooLarge, Message: bus.Text{
			ZH: fmt.Sprintf("策略文本过大；合计不超过 %d KiB、%d 个文件。", MaxSourceBytes>>10, MaxFiles),
			EN: fmt.Sprintf("too large; at most %d KiB in %d files", MaxSourceBytes>>10, MaxFiles)}}}
	}
	return nil
}

func (s *source) readFile(file, text string) []bus.LayerProblem {
	if len(file) > 64 || !fileName.MatchString(file) {
		return []bus.LayerProblem{{File: file, Code: ProblemFileName, Message: bus.Text{
			ZH: "文件名不正确；允许 " + AllowedFileName, EN: "file name not allowed; it must match " + AllowedFileName}}}
	}
	isTest := strings.HasSuffix(file, "_test.rego")
	allowed := s.language.allowed(isTest)
	module, err := ast.ParseModuleWithOpts(file, text, ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: allowed.capabilities})
	if err != nil {
		return problemsOf(ProblemParse, file, err)
	}
	if module == nil {
		return []bus.LayerProblem{{File: file, Code: ProblemParse, Message: bus.Text{ZH: "文件为空。", EN: "the file is empty"}}}
	}
	if isTest {
		s.tests[file] = module
	} else {
		s.modules[file] = module
	}
	return nil
}

// problemsOf turns OPA's errors into problems.
func problemsOf(code, file string, err error) []bus.LayerProblem {
	list, ok := err.(ast.Errors)
	if !ok {
		return []bus.LayerProblem{{File: file, Code: code, Message: bus.Text{ZH: "无法处理：" + err.Error(), EN: err.Error()}}}
	}
	problems := make([]bus.LayerProblem, 0, len(list))
	for _, e := range list {
		problems = append(problems, at(e.Location, code, said(e)))
	}
	return problems
}

// said is what OPA says of an error. Of a name that is not there, an input's say,
// it tells those that are.
func said(e *ast.Error) bus.Text {
	switch detail := e.Details.(type) {
	case *ast.RefErrInvalidDetail:
		if len(detail.OneOf) == 0 {
			break
		}
		names := make([]string, len(detail.OneOf))
		for i, v := range detail.OneOf {
			names[i] = strings.Trim(v.String(), `"`)
		}
		slices.Sort(names)
		return bus.Text{
			ZH: fmt.Sprintf("没有 %s；此处可用：%s", detail.Ref[:detail.Pos+1], strings.Join(names, "、")),
			EN: fmt.Sprintf("there is no %s; it can be one of %s", detail.Ref[:detail.Pos+1], strings.Join(names, ", ")),
		}
	case *ast.UnificationErrDetail:
		return bus.Text{
			ZH: fmt.Sprintf("类型不一致：左边为 %s，右边为 %s", detail.Left, detail.Right),
			EN: fmt.Sprintf("types differ: %s on the left, %s on the right", detail.Left, detail.Right),
		}
	}
	return bus.Text{ZH: "Rego 编译器报告：" + e.Message, EN: e.Message}
}

func at(location *ast.Location, code string, message bus.Text) bus.LayerProblem {
	if location == nil {
		return bus.LayerProblem{Code: code, Message: message}
	}
	return bus.LayerProblem{File: location.File, Row: location.Row, Col: location.Col, Code: code, Message: message}
}

func sortProblems(problems []bus.LayerProblem) {
	slices.SortStableFunc(problems, func(a, b bus.LayerProblem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Row, b.Row), cmp.Compare(a.Col, b.Col), cmp.Compare(a.Code, b.Code))
	})
}
