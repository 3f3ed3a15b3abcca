package bus

import (
	"fmt"
	"time"
)

// LayerReport is what a check found out about a policy layer.
type LayerReport struct {
	Layer    LayerID        `json:"layer"`
	OK       bool           `json:"ok"`
	Problems []LayerProblem `json:"problems,omitempty"` // sorted by file, row, column
	Tests    []LayerTest    `json:"tests,omitempty"`    // sorted by name
	Coverage []FileCoverage `json:"coverage,omitempty"` // by the tests, sorted by file; tests themselves left out
	Slowest  time.Duration  `json:"slowest,omitempty"`  // slowest sample input, in ns
}

// FileCoverage is how much of a file the tests of its layer evaluate.
type FileCoverage struct {
	File    string      `json:"file"`
	Lines   int         `json:"lines"`            // that can be evaluated
	Covered int         `json:"covered"`          // of those
	Missed  []LineRange `json:"missed,omitempty"` // the others
}

// LineRange is the lines of a file from First to Last, which count from 1.
type LineRange struct {
	First int `json:"first"`
	Last  int `json:"last"`
}

// Covered counts, over all files, the lines that the tests evaluate, and those that
// they could.
func (r LayerReport) Covered() (covered, lines int) {
	for _, f := range r.Coverage {
		covered, lines = covered+f.Covered, lines+f.Lines
	}
	return covered, lines
}

// LayerProblem is one thing that keeps a layer from being accepted. Row and Col
// count from 1; 0 means the whole file, or the whole layer where File is empty.
type LayerProblem struct {
	File    string `json:"file,omitempty"`
	Row     int    `json:"row,omitempty"`
	Col     int    `json:"column,omitempty"`
	Code    string `json:"code"` // stable
	Message Text   `json:"message"`
}

// String gives the problem as one English line.
func (p LayerProblem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Row, p.Col, p.Code, p.Message.EN)
}

// Where says where in the layer the problem is: "file.rego:3:1".
func (p LayerProblem) Where() string {
	if p.File == "" || p.Row == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Row, p.Col)
}

// LayerTest is the outcome of one test of a layer.
type LayerTest struct {
	Name     string        `json:"name"` // package and rule
	Pass     bool          `json:"pass"`
	Duration time.Duration `json:"duration"`         // ns
	Output   string        `json:"output,omitempty"` // what it printed, or why it failed to run
}
