package main_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
)

const (
	rssLimit    = 120 // MB, of an idle node
	binaryLimit = 60  // MB, stripped
)

// BenchmarkIdleRss measures the resident memory of a county's node that has
// joined a province of five and rests.
func BenchmarkIdleRss(b *testing.B) {
	ctx := context.Background()
	f, err := fleet.New(buildProgram(b), b.TempDir(), fleet.Province()...)
	must(b, err)
	b.Cleanup(func() { must(b, f.Stop()) })
	must(b, f.Start(ctx))
	for b.Loop() {
		pause(ctx, 5*time.Second) // let it come to rest
		megabytes, err := statusMB(f.Node("tianhe").PID(), "VmRSS")
		must(b, err)
		b.ReportMetric(megabytes, "MB")
		b.ReportMetric(rssLimit, "baseline")
		b.ReportMetric(megabytes/rssLimit, "ratio")
	}
}

// statusMB reads an amount of memory of a process.
func statusMB(pid int, field string) (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if kilobytes, ok := strings.CutPrefix(lines.Text(), field+":"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(kilobytes), " kB"))
			return float64(n) / 1024, err
		}
	}
	return 0, errors.New("no " + field + " in /proc")
}

// BenchmarkBinarySize measures the program as it is released.
func BenchmarkBinarySize(b *testing.B) {
	info, err := os.Stat(buildProgram(b))
	must(b, err)
	megabytes := float64(info.Size()) / (1 << 20)
	for b.Loop() {
		b.ReportMetric(megabytes, "MB")
		b.ReportMetric(binaryLimit, "baseline")
		b.ReportMetric(megabytes/binaryLimit, "ratio")
	}
}
