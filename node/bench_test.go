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

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

const (
	rssLimit    = 120 // MB, of an idle node
	binaryLimit = 60  // MB, stripped
	batchSize   = 500 // events a publication
)

// BenchmarkCrossNodeExchange measures events a second from publishing at one
// node's process, through policy, masks and forwarding, to the acknowledged pull
// at another's. Its baseline is publishing alone, of the same events over the
// same API to a resource that nobody subscribes to.
func BenchmarkCrossNodeExchange(b *testing.B) {
	x := newCrossing(b)
	for b.Loop() {
		total := 10_000
		begun := time.Now()
		must(b, x.publish(x.quiet, 0, total))
		alone := float64(total) / time.Since(begun).Seconds()
		begun = time.Now()
		failed := make(chan error, 1)
		go func() { failed <- x.publish("enterprise-registration", 0, total) }()
		must(b, x.receive(total))
		through := float64(total) / time.Since(begun).Seconds()
		must(b, <-failed)
		b.ReportMetric(through, "events/s")
		b.ReportMetric(alone, "baseline")
		b.ReportMetric(through/alone, "ratio")
		x.round++
	}
}

// crossing is a provider on one process and a consumer on another.
type crossing struct {
	ctx                context.Context
	provider, consumer *client.Client
	quiet              bus.ResourceID
	round              int
}

func newCrossing(b *testing.B) *crossing {
	b.Helper()
	ctx := context.Background()
	f, err := fleet.New(buildProgram(b), b.TempDir(),
		fleet.Spec{ID: "shenzhen", Division: "440300", Voter: true}, fleet.Spec{ID: "guangzhou", Division: "440100"})
	must(b, err)
	b.Cleanup(func() { must(b, f.Stop()) })
	must(b, f.Start(ctx))
	admin, err := f.SignIn(ctx, f.Nodes()[0], "sysadmin")
	must(b, err)
	credentials := map[bus.USCC]client.NewCredential{}
	for _, d := range []bus.Department{sample.ShenzhenMarket, sample.GuangzhouHealth} {
		_, err := admin.Departments().Put(ctx, d)
		must(b, err)
		credentials[d.ID], err = admin.Systems().Put(ctx, sample.SystemOf(d))
		must(b, err)
	}
	resource, quiet := sample.EnterpriseRegistration(), sample.EnterpriseRegistration()
	quiet.ID, quiet.Codes = "quiet", []bus.ResourceCode{"3010010002/000001"}
	must(b, f.Publish(ctx, resource, quiet))
	security, err := f.SignIn(ctx, f.Nodes()[0], "secadmin")
	must(b, err)
	_, err = security.Grants().Put(ctx, sample.Grant("bench", resource, sample.GuangzhouHealth))
	must(b, err)
	x := &crossing{ctx: ctx, quiet: quiet.ID}
	x.provider, err = f.Node("shenzhen").System(credentials[sample.ShenzhenMarket.ID])
	must(b, err)
	x.consumer, err = f.Node("guangzhou").System(credentials[sample.GuangzhouHealth.ID])
	must(b, err)
	_, err = x.consumer.Subscriptions().Put(ctx, bus.Subscription{ID: "bench", Resource: resource.ID, Grant: "bench", Purpose: bus.PurposeVerification})
	must(b, err)
	return x
}

// publish publishes count events of about 1 KiB.
func (x *crossing) publish(to bus.ResourceID, from, count int) error {
	system := sample.SystemOf(sample.ShenzhenMarket)
	for n := from; n < from+count; n += batchSize {
		batch := make([]cloudevent.Event, batchSize)
		for i := range batch {
			e := sample.Event(system, n+i)
			e.SetID(fmt.Sprintf("bench-%d-%s-%d", x.round, to, n+i))
			e.SetExtension("padding", strings.Repeat("x", 400))
			batch[i] = e
		}
		if _, err := x.provider.Publish(x.ctx, to, batch...); err != nil {
			return err
		}
	}
	return nil
}

func (x *crossing) receive(count int) error {
	return fleet.Until(x.ctx, "the events to come", func(ctx context.Context) error {
		for count > 0 {
			events, last, err := x.consumer.Pull(ctx, "bench", 1000)
			if err != nil {
				return err
			}
			if len(events) == 0 {
				return errors.New("none waiting")
			}
			if err := x.consumer.Ack(ctx, "bench", last); err != nil {
				return err
			}
			count -= len(events)
		}
		return nil
	})
}

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
		megabytes, err := residentMB(f.Node("tianhe").PID())
		must(b, err)
		b.ReportMetric(megabytes, "MB")
		b.ReportMetric(rssLimit, "baseline")
		b.ReportMetric(megabytes/rssLimit, "ratio")
	}
}

// residentMB reads VmRSS of a process.
func residentMB(pid int) (float64, error) {
	file, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if kilobytes, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(kilobytes), " kB"))
			return float64(n) / 1024, err
		}
	}
	return 0, errors.New("no VmRSS in /proc")
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
