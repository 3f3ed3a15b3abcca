package evaluation_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

const (
	market  bus.USCC = "114400000069401674"
	housing bus.USCC = "11440000006939561H"
	tax     bus.USCC = "11441400007208381Y"
)

func day(text string) time.Time {
	d, err := calendar.ParseDate(text)
	if err != nil {
		panic(err)
	}
	return d.Start()
}

// quarter is the window of most tests, 2026-01-01 to 2026-03-31.
var quarter = evaluation.Window{From: day("2026-01-01"), To: day("2026-04-01")}

func sampleReport() evaluation.Report {
	scheme := evaluation.DefaultScheme()
	in := evaluation.Input{
		Scheme: scheme, Window: quarter,
		Departments: []bus.Department{{ID: market, Name: "样例部门", Division: "440106"}, {ID: housing, Name: "样例部门二", Division: "440106"}},
		Divisions:   []bus.Division{{Code: "440000", Name: "广东省", Level: bus.LevelProvince}, {Code: "440106", Name: "天河区", Level: bus.LevelCounty, Parent: "440000"}},
		Facts: slices.Values([]evaluation.Fact{
			{Count: bus.CountApplicationsDue, At: quarter.From, Department: market, N: 1, Ref: "application/a1"},
			{Count: bus.CountStopsUnreasoned, At: quarter.From, Department: market, N: 1, Ref: "dispute/d1"},
		}),
	}
	r := evaluation.Report{
		Format: evaluation.ReportFormat, ID: "2026-q1", Window: quarter, At: quarter.To, Cluster: "gd", Node: "gz",
		Scheme: evaluation.SchemeUsed{Digest: evaluation.SchemeDigest(scheme), Scheme: scheme},
		Inputs: evaluation.Inputs{
			DirectoryDigest: evaluation.Rollup{}.Digest(),
			Rollups:         []evaluation.RollupUsed{{Node: "gz", Day: "2026-01-01", Digest: evaluation.Rollup{}.Digest()}},
			Missing:         []evaluation.MissingNode{{Node: "sz", Days: []string{"2026-01-01"}}},
			Checkpoints:     []bus.Checkpoint{{Node: "gz", Size: 1, Root: []byte{1}, Note: "n"}},
		},
		Reconciliation: evaluation.Reconciliation{Differences: []evaluation.Difference{{Resource: "r", Exchanges: []evaluation.Unmatched{{Exchange: "x"}}}}},
		Restatements:   []evaluation.Restatement{{Report: "2025-q4", Department: market, Indicator: "C1"}},
	}
	r.Departments, r.Divisions = evaluation.Compute(in)
	r.Departments[0].Earlier = []evaluation.Earlier{{Report: "2025-q4"}}
	return r
}

func TestAReportFollowsItsPublishedSchema(t *testing.T) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(evaluation.ReportSchema()))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("report.json", document); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("report.json")
	if err != nil {
		t.Fatal(err)
	}
	data, err := sampleReport().Encode()
	if err != nil {
		t.Fatal(err)
	}
	check := func(data []byte) error {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(value)
	}
	if err := check(data); err != nil {
		t.Errorf("%v", err)
	}
	if check(bytes.Replace(data, []byte(`"numerator": 0`), []byte(`"numerator": 0.5`), 1)) == nil {
		t.Error("a figure that is no whole number passes")
	}
	if _, err := evaluation.DecodeReport(data); err != nil {
		t.Errorf("a report is not read back: %v", err)
	}
}

func TestAChangedReportIsNotTheSignedOne(t *testing.T) {
	secret, verifier, err := audit.GenerateKey(audit.Origin("gd", "gz"))
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := audit.OpenKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := sampleReport().Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	data, err := signed.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new string }{
		{"as it was", "", ""},
		{"a figure", `"denominator": 1`, `"denominator": 2`},
		{"a name", "样例部门二", "样例部门三"},
		{"the scheme", `"weight": 10`, `"weight": 11`},
		{"the signer", `"node": "gz"`, `"node": "sz"`},
	} {
		changed := strings.Replace(string(data), c.old, c.new, 1)
		read, err := evaluation.DecodeReport([]byte(changed))
		if err != nil {
			t.Fatal(c.name, err)
		}
		if err := read.Verify(verifier); (err == nil) != (c.old == "") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
