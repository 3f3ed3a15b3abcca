package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	testLimit  = 10 * time.Second // for one test, many times what one takes: it is for a machine out of breath
	checkLimit = 30 * time.Second // for a whole check
	probeTries = 5                // before a sample input counts as too slow
)

// Check examines a layer before it is activated: source rules, compilation,
// its own tests, and its answers and their cost on built-in sample inputs.
// It changes nothing in the engine. Problems are all that one stage finds;
// later stages run only where the earlier ones found none.
func (e *Engine) Check(ctx context.Context, l bus.Layer) bus.LayerReport {
	return e.examine(ctx, l, e.check)
}

func (e *Engine) examine(ctx context.Context, l bus.Layer, by func(context.Context, bus.Layer) bus.LayerReport) bus.LayerReport {
	ctx, stop := context.WithTimeout(ctx, checkLimit)
	defer stop()
	report, done := within(checkLimit, func() (r bus.LayerReport) {
		defer func() {
			if x := recover(); x != nil {
				r = refusedReport(ProblemCompile, bus.Text{ZH: "编译器无法处理该策略。", EN: fmt.Sprintf("the compiler failed: %v", x)})
			}
		}()
		return by(ctx, l)
	})
	if !done {
		return refusedReport(ProblemTooSlow, bus.Text{ZH: "检查未在限定时间内完成；请简化策略。", EN: "the check did not end in time; simplify the policy"})
	}
	report.Layer = l.ID
	return report
}

// Lint examines a layer's text as Check does, up to its compilation: no test is run.
func (e *Engine) Lint(ctx context.Context, l bus.Layer) bus.LayerReport {
	return e.examine(ctx, l, func(ctx context.Context, l bus.Layer) bus.LayerReport {
		_, problems := e.language.ready(ctx, l)
		return bus.LayerReport{OK: len(problems) == 0, Problems: problems}
	})
}

// TestBase checks the base layer of this release, its tests included.
func (e *Engine) TestBase(ctx context.Context) (bus.LayerReport, error) {
	base, err := Base()
	if err != nil {
		return bus.LayerReport{}, err
	}
	return e.Check(ctx, base), nil
}

func refusedReport(code string, message bus.Text) bus.LayerReport {
	return bus.LayerReport{Problems: []bus.LayerProblem{{Code: code, Message: message}}}
}

func (e *Engine) check(ctx context.Context, l bus.Layer) bus.LayerReport {
	ready, problems := e.language.ready(ctx, l)
	if len(problems) > 0 {
		return bus.LayerReport{Problems: problems}
	}
	r := e.language.test(ctx, l) // reads the modules again: compiling changes them
	if len(r.Problems) > 0 {
		return r
	}
	slowest, problems := e.probe(ctx, ready)
	r.Slowest, r.Problems = slowest.Nanoseconds(), problems
	r.OK = len(r.Problems) == 0
	return r
}

// ready reads and compiles a layer without its tests.
func (l *language) ready(ctx context.Context, of bus.Layer) (*layer, []bus.LayerProblem) {
	src, problems := l.read(of)
	if len(problems) > 0 {
		return nil, problems
	}
	ready := &layer{id: of.ID, revision: of.Revision}
	if err := ready.compile(ctx, src); err != nil {
		problems = problemsOf(ProblemCompile, "", err)
		sortProblems(problems)
	}
	return ready, problems
}

var noTests = bus.Text{
	ZH: "没有测试；请在 *_test.rego 文件中编写以 test_ 开头的规则。",
	EN: "there are no tests; write rules that begin with test_ in *_test.rego files"}

// test runs the tests of a layer that was read without problems before, and looks
// what they evaluate.
func (l *language) test(ctx context.Context, of bus.Layer) (r bus.LayerReport) {
	src, problems := l.read(of)
	if len(problems) > 0 {
		return bus.LayerReport{Problems: problems}
	}
	looking := cover.New()
	modules := maps.Clone(src.modules)
	maps.Copy(modules, src.tests)
	for _, m := range modules {
		bound(m)
	}
	runner := tester.NewRunner().SetCompiler(src.compiler(l.tests)).SetModules(modules).SetStore(l.data).
		AddCustomBuiltins(l.functions).SetTimeout(testLimit).SetParallel(1).CapturePrintOutput(true).
		SetCoverageQueryTracer(looking).SetCoverageRuns(nil)
	results, err := runner.RunTests(ctx, nil)
	if err != nil {
		r.Problems = problemsOf(ProblemCompile, "", err)
		sortProblems(r.Problems)
		return r
	}
	for result := range results {
		test, problem := outcome(result)
		r.Tests = append(r.Tests, test)
		r.Problems = append(r.Problems, problem...)
	}
	slices.SortFunc(r.Tests, func(a, b bus.LayerTest) int { return strings.Compare(a.Name, b.Name) })
	if len(r.Tests) == 0 {
		r.Problems = append(r.Problems, bus.LayerProblem{Code: ProblemNoTests, Message: noTests})
	}
	sortProblems(r.Problems)
	r.Coverage = coverageOf(looking, src.modules)
	return r
}

// outcome reads OPA's result of one test. A skipped test (todo_test_…) fails:
// what is not tested is not activated.
func outcome(r *tester.Result) (bus.LayerTest, []bus.LayerProblem) {
	t := bus.LayerTest{Name: strings.TrimPrefix(r.Package, "data.") + "." + r.Name, Pass: r.Pass(), Duration: r.Duration.Nanoseconds(), Output: string(r.Output)}
	if t.Pass {
		return t, nil
	}
	zh, en := "测试未通过："+t.Name, "the test fails: "+t.Name
	if r.Skip {
		zh, en = "测试被跳过："+t.Name, "the test is skipped: "+t.Name
	}
	location := r.Location
	if r.FailedAt != nil && r.FailedAt.Location != nil {
		location = r.FailedAt.Location
	}
	if r.Error != nil {
		t.Output += r.Error.Error()
	}
	return t, []bus.LayerProblem{at(location, ProblemTestFailed, bus.Text{ZH: zh, EN: en})}
}

// probe asks the layer about the sample inputs, under the deadline of a
// decision, and returns the slowest answer's time.
func (e *Engine) probe(ctx context.Context, l *layer) (slowest time.Duration, problems []bus.LayerProblem) {
	for _, sample := range samples(l.id) {
		var took time.Duration
		var code string
		for range probeTries { // a busy machine is not the layer's fault
			start := time.Now()
			code = refusalOf(e.ask(ctx, []*layer{l}, sample.Input))
			if took = time.Since(start); code != CodeTimeout {
				break
			}
		}
		slowest = max(slowest, took)
		switch code {
		case "":
		case CodeTimeout, CodeLayerUnavailable:
			return slowest, append(problems, bus.LayerProblem{Code: ProblemTooSlow, Message: bus.Text{
				ZH: fmt.Sprintf("对样例输入“%s”未在 %v 内给出结论；请简化策略。", sample.name.ZH, e.deadline),
				EN: fmt.Sprintf("no answer within %v on the sample input %q; simplify the policy", e.deadline, sample.name.EN)}})
		default:
			problems = append(problems, bus.LayerProblem{Code: ProblemResult, Message: bus.Text{
				ZH: fmt.Sprintf("对样例输入“%s”没有可用的结论（%s）。", sample.name.ZH, code),
				EN: fmt.Sprintf("no usable answer on the sample input %q (%s)", sample.name.EN, code)}})
		}
	}
	return slowest, problems
}

// refusalOf returns the engine's own code among the reasons, if there is one.
func refusalOf(verdicts []bus.Verdict) string {
	for _, v := range verdicts {
		for _, r := range v.Reasons {
			if message, ok := refusals[r.Code]; ok && message == r.Message {
				return r.Code
			}
		}
	}
	return ""
}

// compiler gives OPA's strict compiler for what allowed lists.
func (s *source) compiler(allowed *allowList) *ast.Compiler {
	return ast.NewCompiler().
		WithCapabilities(allowed.capabilities).
		WithDefaultRegoVersion(ast.RegoV1).
		WithStrict(true).
		WithSchemas(s.language.schemas).
		WithEnablePrintStatements(allowed == s.language.tests)
}
