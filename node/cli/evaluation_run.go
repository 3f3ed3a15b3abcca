package cli

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// askProgress is how often a node that makes a report is asked how far it has come.
const askProgress = 500 * time.Millisecond

var stageTexts = map[client.EvaluationStage]bus.Text{
	client.StageCollect: {ZH: "收集各节点的日汇总", EN: "asking the nodes for their rollups"},
	client.StageRead:    {ZH: "读取日汇总", EN: "reading the rollups"},
	client.StageCompute: {ZH: "计算指标", EN: "adding up the figures"},
	client.StageName:    {ZH: "查找差异背后的交换", EN: "looking for the exchanges behind differences"},
}

// makeReport has a report made, and shows meanwhile how far the node has come with it.
func (a *app) makeReport(ctx context.Context, c *client.Client, order client.EvaluationOrder) (json.RawMessage, error) {
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { a.watchReport(watching, c, order.ID) })
	data, err := c.EvaluationRun(ctx, order)
	stop()
	watch.Wait()
	return data, err
}

// watchReport shows a bar a stage until ctx ends. A node of an earlier release, or one
// that is done, tells nothing, and nothing is shown.
func (a *app) watchReport(ctx context.Context, c *client.Client, id string) {
	bar := a.progress(0)
	if !bar.shown {
		return
	}
	ticks := time.NewTicker(askProgress)
	defer ticks.Stop()
	var stage client.EvaluationStage
	for {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			bar.done()
			return
		}
		at, err := c.EvaluationProgress(ctx, id)
		if err != nil {
			continue
		}
		if at.Stage != stage {
			bar.done()
			stage, bar = at.Stage, a.progress(at.Of)
			bar.about = stageTexts[stage].In(a.lang)
		}
		bar.add(at.Done - bar.made)
	}
}
