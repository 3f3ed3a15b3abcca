// Package quarter makes up some months of a province's life to evaluate: the
// directory's workflow and the nodes' evidence of every exchange, as real Merkle logs
// with checkpoints, in a folder that a report is made from and verified against. The
// same options give the same facts and the same figures.
//
// The divisions are Guangdong's; the departments, resources and all that happens to
// them are samples.
package quarter

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
	"github.com/gxbus/gxbus/pkg/evaluation/export"
)

// What there is at scale 1.
const (
	fullDepartments = 600
	fullResources   = 10_000
	fullCalls       = 2_000_000
	fullCases       = 4_000 // applications in 90 days
)

// Cluster is the name of the made-up bus.
const Cluster = "gd-sample"

// Options say what to make up.
type Options struct {
	Dir      string        // empty or absent
	From     calendar.Date // first day
	Days     int           // 1–366
	Seed     uint64
	Scale    float64            // 1: 600 departments, 10,000 resources and 2,000,000 calls in 90 days
	Lang     bus.Lang           // of the exported report
	Progress func(days, of int) // where it is; may be nil
}

// Check returns every defect of o.
func (o Options) Check() []bus.Defect {
	var defects []bus.Defect
	if o.Days < 1 || o.Days > 366 {
		defects = append(defects, bus.Defect{Field: "days", Problem: bus.Text{ZH: "数值超出范围", EN: "out of range"}, Allowed: "1–366"})
	}
	if !(o.Scale >= 0.001 && o.Scale <= 10) {
		defects = append(defects, bus.Defect{Field: "scale", Problem: bus.Text{ZH: "数值超出范围", EN: "out of range"}, Allowed: "0.001–10"})
	}
	return defects
}

// Made is what was made up.
type Made struct {
	Divisions    int    `json:"divisions"`
	Nodes        int    `json:"nodes"`
	Departments  int    `json:"departments"`
	Resources    int    `json:"resources"`
	Applications int    `json:"applications"`
	Exchanges    int    `json:"exchanges"` // calls, and batches of events
	Leaves       int64  `json:"leaves"`    // of evidence
	Silent       string `json:"silent"`    // the node whose evidence was lost; "": none
	Report       string `json:"report"`    // file
	Verified     string `json:"verified"`  // how to verify it
}

// scaled is how many of n there are, at least least.
func (o Options) scaled(n, least int) int { return max(least, int(float64(n)*o.Scale)) }

// random gives the source of one matter: each has its own, so that one that asks once
// more changes no other.
func (o Options) random(matter uint64) *rand.Rand { return rand.New(rand.NewPCG(o.Seed, matter)) }

// The matters.
const (
	ofProvince = iota
	ofCases
	ofDays // and each day after it
)

// Write makes up what o says.
func Write(ctx context.Context, o Options) (made Made, err error) {
	if err := bus.Invalid(o.Check()); err != nil {
		return made, err
	}
	if err := emptyDir(o.Dir); err != nil {
		return made, err
	}
	p := o.province()
	p.live(o.random(ofCases), o.scaled(fullCases*o.Days/90, 40))
	logs, err := openLogs(o, p)
	if err != nil {
		return made, err
	}
	defer func() { err = closed(logs, err) }()
	calls := o.scaled(fullCalls*o.Days/90, o.Days*10)
	for n := range o.Days {
		if err := ctx.Err(); err != nil {
			return made, err
		}
		today := p.day(o.random(uint64(ofDays+n)), o.From+calendar.Date(n), n, calls*(n+1)/o.Days-calls*n/o.Days)
		made.Exchanges += today.exchanges
		for node, records := range today.records {
			if err := logs[node].add(records); err != nil {
				return made, err
			}
		}
		if o.Progress != nil {
			o.Progress(n+1, o.Days)
		}
	}
	m := &evaluation.Material{Format: evaluation.MaterialFormat, Cluster: Cluster, Revision: 1, Directory: p.directory}
	w := evaluation.Window{From: o.From.Start(), To: (o.From + calendar.Date(o.Days)).Start()}
	for _, n := range p.directory.Nodes {
		leaves, err := logs[n.ID].finish(o.Dir, m, w.Days(), n.ID != p.silent)
		if err != nil {
			return made, err
		}
		made.Leaves += leaves
	}
	made.Divisions, made.Nodes, made.Departments = len(p.directory.Divisions), len(p.directory.Nodes), len(p.directory.Departments)
	made.Resources, made.Applications, made.Silent = len(p.resources), len(p.directory.Applications), string(p.silent)
	made.Report, err = report(o, m, w, logs[p.top()])
	made.Verified = fmt.Sprintf("gxbus evaluation verify %s --evidence %s", made.Report, o.Dir)
	return made, err
}

// emptyDir makes a folder; one that has something in it is refused.
func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	there, err := os.ReadDir(dir)
	if err == nil && len(there) > 0 {
		err = bus.E(bus.CodeExists, bus.Defect{Field: "dir", Problem: bus.Text{ZH: "目录不为空：" + dir, EN: "the folder is not empty: " + dir}, Allowed: "a new folder"})
	}
	return err
}

// report writes the material, and the report in all its forms.
func report(o Options, m *evaluation.Material, w evaluation.Window, by *nodeLog) (path string, err error) {
	material, err := json.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("encode the material: %w", err)
	}
	if err := os.WriteFile(filepath.Join(o.Dir, evaluation.MaterialFile), material, 0o600); err != nil {
		return "", err
	}
	read, err := evaluation.DecodeMaterial(material) // as whoever verifies reads it
	if err != nil {
		return "", err
	}
	read.Rollups = m.Rollups
	scheme := evaluation.UsedScheme(bus.SchemeVersion{Scheme: evaluation.DefaultScheme()})
	r, err := read.Evaluate(evaluation.Order{ID: "sample", Window: w, Scheme: scheme, At: w.To.Add(24 * time.Hour), Node: by.node})
	if err != nil {
		return "", err
	}
	if r, err = r.Sign(by.signer); err != nil {
		return "", err
	}
	for _, f := range export.Formats() {
		if f == export.JSON { // beside the evidence, *.jsonl, and the material
			path = filepath.Join(o.Dir, "report.json")
		}
		if err := writeReport(filepath.Join(o.Dir, "report."+string(f)), r, f, o.Lang); err != nil {
			return "", err
		}
	}
	return path, nil
}

func writeReport(path string, r evaluation.Report, f export.Format, lang bus.Lang) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := export.Write(file, r, f, lang); err != nil {
		return closing(file, err)
	}
	return file.Close()
}

// day is what happened on one day, by node, in the order of time.
type day struct {
	records   map[bus.NodeID][]audit.Record
	exchanges int
}
