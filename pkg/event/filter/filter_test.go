package filter_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/event/filter"
)

func sample() event.Event {
	e, err := event.Unmarshal([]byte(`{"specversion":"1.0","id":"7","source":"/systems/sz-register/a","type":"cn.gov.sample.firm.registered",
		"subject":"示例企业 7","time":"2026-03-04T12:00:00Z","datacontenttype":"application/json","urgent":true,"weight":12,"region":"440300","data":{"region":"110000"}}`))
	if err != nil {
		panic(err)
	}
	return e
}

func TestFiltersDecideByAttributes(t *testing.T) {
	for _, c := range []struct {
		name    string
		filters string
		want    bool
		fails   bool // an expression could not be evaluated
	}{
		{"none", `[]`, true, false},
		{"exact", `[{"exact":{"type":"cn.gov.sample.firm.registered"}}]`, true, false},
		{"exact, of another case", `[{"exact":{"type":"CN.gov.sample.firm.registered"}}]`, false, false},
		{"exact, each attribute", `[{"exact":{"region":"440300","id":"8"}}]`, false, false},
		{"exact, a Chinese subject", `[{"exact":{"subject":"示例企业 7"}}]`, true, false},
		{"exact, an integer and a truth value in canonical form", `[{"exact":{"weight":"12","urgent":"true"}}]`, true, false},
		{"exact, a time", `[{"exact":{"time":"2026-03-04T12:00:00Z"}}]`, true, false},
		{"data is not an attribute", `[{"exact":{"region":"110000"}}]`, false, false},
		{"exact, of an attribute that is not there", `[{"exact":{"absent":"x"}}]`, false, false},
		{"not, of an attribute that is not there", `[{"not":{"exact":{"absent":"x"}}}]`, true, false},
		{"prefix", `[{"prefix":{"source":"/systems/sz-register/"}}]`, true, false},
		{"prefix, no", `[{"prefix":{"source":"/systems/gz"}}]`, false, false},
		{"suffix", `[{"suffix":{"type":".registered"}}]`, true, false},
		{"suffix, no", `[{"suffix":{"type":".registere"}}]`, false, false},
		{"several filters have all to hold", `[{"exact":{"id":"7"}},{"exact":{"id":"8"}}]`, false, false},
		{"all", `[{"all":[{"exact":{"id":"7"}},{"suffix":{"type":"registered"}}]}]`, true, false},
		{"all, one not", `[{"all":[{"exact":{"id":"7"}},{"suffix":{"type":"x"}}]}]`, false, false},
		{"any", `[{"any":[{"exact":{"id":"8"}},{"exact":{"id":"7"}}]}]`, true, false},
		{"any, none", `[{"any":[{"exact":{"id":"8"}},{"exact":{"id":"9"}}]}]`, false, false},
		{"not", `[{"not":{"any":[{"exact":{"id":"8"}}]}}]`, true, false},
		{"sql", `[{"sql":"type LIKE 'cn.gov.%' AND weight > 10 AND NOT (region IN ('440100', '440600'))"}]`, true, false},
		{"sql, no", `[{"sql":"region = '440100'"}]`, false, false},
		{"sql, exists", `[{"sql":"EXISTS urgent AND NOT EXISTS absent"}]`, true, false},
		{"sql, functions", `[{"sql":"LENGTH(region) = 6 AND LEFT(region, 4) = '4403'"}]`, true, false},
		{"sql, an attribute that is not there", `[{"sql":"absent = 'x'"}]`, false, true},
		{"sql, not a truth value", `[{"sql":"weight + 1"}]`, false, true},
		{"sql, dividing by zero", `[{"sql":"weight / 0 = 1"}]`, false, true},
		{"what fails is not what does not hold", `[{"not":{"sql":"weight / 0 = 1"}}]`, false, true},
		{"what fails stands beside what holds", `[{"any":[{"sql":"absent = 'x'"},{"exact":{"id":"7"}}]}]`, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var filters []bus.Filter
			if err := json.Unmarshal([]byte(c.filters), &filters); err != nil {
				t.Fatal(err)
			}
			m, err := filter.Compile(filters)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := m.Match(sample()); got != c.want || (err != nil) != c.fails {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestBadFiltersAreRefusedWithTheirPlace(t *testing.T) {
	deep := bus.Filter{Exact: map[string]string{"id": "7"}}
	for range 9 {
		deep = bus.Filter{Not: &deep}
	}
	wide := make([]bus.Filter, 65)
	for i := range wide {
		wide[i] = bus.Filter{Exact: map[string]string{"id": "7"}}
	}
	inside := func(sql string) []bus.Filter { return []bus.Filter{{Not: &bus.Filter{SQL: sql}}} }
	for _, c := range []struct {
		name    string
		filters []bus.Filter
		field   string
		says    string
	}{
		{"no dialect", []bus.Filter{{}}, "filters[0]", "exactly one"},
		{"two dialects", []bus.Filter{{SQL: "TRUE", Exact: map[string]string{"id": "7"}}}, "filters[0]", "exactly one"},
		{"an empty value", []bus.Filter{{Prefix: map[string]string{"id": ""}}}, "filters[0].prefix.id", "empty"},
		{"no attribute name", []bus.Filter{{Exact: map[string]string{"Type": "x"}}}, "filters[0].exact.Type", "name of an attribute"},
		{"the data", []bus.Filter{{Exact: map[string]string{"data": "x"}}}, "filters[0].exact.data", "name of an attribute"},
		{"too deep", []bus.Filter{deep}, "filters[0]" + strings.Repeat(".not", 8), "too deep"},
		{"too many", wide, "filters", "too many"},
		{"an expression that is too long", inside("TRUE" + strings.Repeat(" ", 1021)), "filters[0].not.sql", "too long"},
		{"an expression that ends early", inside("type ="), "filters[0].not.sql", "at line 1, character 7: "},
		{"a character that is none of the language", inside("type = 'x' ; TRUE"), "filters[0].not.sql", "at line 1, character 12: "},
		{"a function that there is not", inside("TRUE AND SLEEP(5)"), "filters[0].not.sql", "at line 1, character 10: "},
		{"too few arguments", inside("LEFT('x') = 'x'"), "filters[0].not.sql", "no function LEFT of 1"},
		{"an integer that is too large", inside("weight = 99999999999"), "filters[0].not.sql", "at line 1, character 10: 99999999999 is out of range"},
		{"one on the second line", inside("weight >\n 1 AND weight < -2147483649"), "filters[0].not.sql", "at line 2, character 17: "},
		{"a function that there is not, on the second line", inside("TRUE AND\n  SLEEP(5)"), "filters[0].not.sql", "at line 2, character 3: "},
		{"on the second line", inside("TRUE AND\n  OR"), "filters[0].not.sql", "at line 2, character 3: "},
		{"which the library's parser panics on", inside("'"), "filters[0].not.sql", "at line 1, character 1: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := filter.Compile(c.filters)
			e, ok := err.(*bus.Error)
			if !ok || e.Code != bus.CodeInvalid || e.Defects[0].Field != c.field || !strings.Contains(e.Defects[0].Problem.EN, c.says) {
				t.Errorf("got %#v", err)
			}
		})
	}
}

// The longest expressions that the cap lets through must not keep a node busy.
func TestTheLongestExpressionsAreReadAndAskedInTime(t *testing.T) {
	for _, sql := range []string{
		strings.Repeat("(", 500) + "TRUE" + strings.Repeat(")", 500),
		strings.Repeat("NOT ", 254) + "TRUE",
		"TRUE" + strings.Repeat(" OR TRUE", 126),
		"source LIKE '" + strings.Repeat("%a", 500) + "'",
		strings.Repeat("LOWER(", 140) + "source" + strings.Repeat(")", 140) + " = 'a'",
	} {
		begun := time.Now()
		m, err := filter.Compile([]bus.Filter{{SQL: sql}})
		if err == nil {
			_, err = m.Match(sample())
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("%.30s… took %v (%v)", sql, took, err)
		}
	}
}

func FuzzSQL(f *testing.F) {
	for _, sql := range []string{"type LIKE 'a%'", "'", "NOT EXISTS a", "LEFT(x, 2) IN ('a', \"b\")", "-1 + 2 = 3", "a_b(1)", "\x00", "(", "SUBSTRING('a', 5, -1)", "\\"} {
		f.Add(sql)
	}
	e := sample()
	f.Fuzz(func(t *testing.T, sql string) {
		m, err := filter.Compile([]bus.Filter{{SQL: sql}})
		if err != nil {
			if bus.CodeOf(err) != bus.CodeInvalid {
				t.Fatal(err)
			}
			return
		}
		first, err := m.Match(e)
		if again, second := m.Match(e); again != first || (err == nil) != (second == nil) {
			t.Fatalf("%q is %v, %v and then %v, %v", sql, first, err, again, second)
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	m, err := filter.Compile([]bus.Filter{{Prefix: map[string]string{"source": "/systems/sz-register"}}, {SQL: "type LIKE 'cn.gov.%' AND weight > 10"}})
	if err != nil {
		b.Fatal(err)
	}
	e := sample()
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := m.Match(e); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
