package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestKebab(t *testing.T) {
	for name, want := range map[string]string{
		"DurablePublish":                 "durable-publish",
		"IdleRSS":                        "idle-rss",
		"RSSIdle":                        "rss-idle",
		"DecisionLatency/base":           "decision-latency-base",
		"DecisionLatency/base_plus_four": "decision-latency-base-plus-four",
		"DecisionLatency/BasePlusFour":   "decision-latency-base-plus-four",
		"Cross_Node/-x-":                 "cross-node-x",
		"Publish256":                     "publish256",
	} {
		if got := kebab(name); got != want {
			t.Errorf("kebab(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestParseResults(t *testing.T) {
	const output = `goos: linux
BenchmarkDurablePublish-2   	     100	  10000 ns/op	  52000 events/s	  99000 baseline	  0.525 ratio	  12 B/op	  3 allocs/op
BenchmarkEvidenceAppend/range-16 	 5	 250.5 ns/op
BenchmarkIdleRSS	1	 84.5 MB
PASS
ok  	example.com/a	1.2s
`
	baseline, ratio := 99000.0, 0.525
	want := []result{
		{"durable-publish", 52000, "events/s", &baseline, &ratio},
		{"evidence-append-range", 250.5, "ns/op", nil, nil},
		{"idle-rss", 84.5, "MB", nil, nil},
	}
	got, err := parseResults(output)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestResultsThatCannotBeTrustedAreErrors(t *testing.T) {
	for name, output := range map[string]string{
		"two values":     "BenchmarkA 1 2 events/s 3 bytes",
		"measured twice": "BenchmarkA 1 2 events/s\nBenchmarkA-2 1 2 events/s",
		"no value":       "BenchmarkA 1 2 baseline",
		"not a number":   "BenchmarkA 1 two events/s",
		"odd fields":     "BenchmarkA 1 2 events/s 3",
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := parseResults(output); err == nil {
				t.Errorf("accepted: %+v", got)
			}
		})
	}
}

func TestListedNamesComeFromTheFirstColumn(t *testing.T) {
	const document = "Run `make bench`.\n\n| name | against |\n|---|---|\n| `a-b` | `not-this` |\n|`c`| x |\n| d | y |\n"
	if got := listedNames(document); !slices.Equal(got, []string{"a-b", "c"}) {
		t.Errorf("got %v", got)
	}
}

func TestKeepListedFollowsTheListAndNamesTheAbsent(t *testing.T) {
	kept, absent := keepListed([]result{{Name: "x"}, {Name: "a"}, {Name: "b"}}, []string{"b", "c", "a"})
	if len(kept) != 2 || kept[0].Name != "b" || kept[1].Name != "a" || !slices.Equal(absent, []string{"c"}) {
		t.Errorf("kept %v, absent %v", kept, absent)
	}
	none, _ := keepListed(nil, nil)
	if encoded, _ := json.Marshal(none); string(encoded) != "[]" {
		t.Errorf("nothing measured encodes as %s", encoded)
	}
}

func TestSelectSuites(t *testing.T) {
	const listing = "BenchmarkDecisionLatency\nBenchmarkDecision\nok  \tm/policy\t0.1s\n?   \tm/api\t[no test files]\nBenchmarkOther\nok  \tm/other\t0.1s\nBenchmarkIdleRSS\nok  \tm/node\t0.1s\n"
	got := selectSuites(listing, []string{"decision-latency-base", "idle-rss"})
	want := []suite{{"m/policy", []string{"BenchmarkDecisionLatency", "BenchmarkDecision"}}, {"m/node", []string{"BenchmarkIdleRSS"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestMeasureRunsRealBenchmarksAndReportsTheMissing(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.com/m\n\ngo 1.26\n",
		"list.md": "| `fast-path` | x |\n| `gone` | y |\n",
		"m_test.go": "package m\n\nimport \"testing\"\n\nfunc BenchmarkFastPath(b *testing.B) {\n" +
			"\tfor b.Loop() {\n\t}\n\tb.ReportMetric(7, \"events/s\")\n\tb.ReportMetric(14, \"baseline\")\n\tb.ReportMetric(0.5, \"ratio\")\n}\n\n" +
			"func BenchmarkUnlisted(b *testing.B) { b.Fatal(\"was run\") }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	err := measure("list.md", "1x", "out.json")
	if err == nil || !strings.Contains(err.Error(), "gone") {
		t.Errorf("error %v does not name what is missing", err)
	}
	var got []result
	text, err := os.ReadFile("out.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Name != "fast-path" || got[0].Value != 7 || *got[0].Baseline != 14 || *got[0].Ratio != 0.5 {
		t.Errorf("got %s", text)
	}
}
