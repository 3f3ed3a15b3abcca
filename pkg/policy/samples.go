package policy

import (
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// sample is an input that layers are tried on before they are activated.
type sample struct {
	name bus.Text
	Input
}

// The parties of the samples, where the layer under check is not one of them.
var (
	sampleProvider = Party{Department: "114400000069401674", Division: "440300", Divisions: []bus.DivisionCode{"440300", "440000"}, System: "sample-provider"}
	sampleConsumer = Party{Department: "11440000006939561H", Division: "440106", Divisions: []bus.DivisionCode{"440106", "440100", "440000"}, System: "sample-consumer"}
)

// samples returns inputs to which the layer applies, as provider and as
// consumer: each action at each stage, each sharing type, with and without a grant,
// and a resource of 200 items to show what a layer costs.
func samples(id bus.LayerID) []sample {
	var all []sample
	for _, asProvider := range []bool{true, false} {
		provider, consumer := sampleProvider, sampleConsumer
		if asProvider {
			place(id, &provider)
		} else {
			place(id, &consumer)
		}
		for _, sharing := range []bus.SharingType{bus.Unconditional, bus.Conditional, bus.NotShared} {
			in := sampleInput(provider, consumer, sharing, 12)
			all = append(all,
				sample{bus.Text{ZH: "转发，" + string(sharing), EN: "forward, " + string(sharing)}, in},
				sample{bus.Text{ZH: "转发，无授权，" + string(sharing), EN: "forward without a grant, " + string(sharing)}, without(in)})
		}
		big := sampleInput(provider, consumer, bus.Conditional, 200)
		all = append(all, sample{bus.Text{ZH: "转发，200 个信息项", EN: "forward, 200 items"}, big})
		for _, use := range []struct {
			Action
			Stage
			name bus.Text
		}{
			{ActionSubscribe, StageConsumer, bus.Text{ZH: "订阅", EN: "subscribe"}},
			{ActionDeliver, StageConsumer, bus.Text{ZH: "交付", EN: "deliver"}},
			{ActionQuery, StageConsumer, bus.Text{ZH: "查询，使用方节点", EN: "query at the consumer's node"}},
			{ActionQuery, StageProvider, bus.Text{ZH: "查询，提供方节点", EN: "query at the provider's node"}},
		} {
			in := big
			in.Action, in.Stage = use.Action, use.Stage
			all = append(all, sample{use.name, in})
		}
		discover := sampleInput(provider, consumer, bus.NotShared, 12).discovery()
		discover.Action, discover.Stage = ActionDiscover, StageConsumer
		all = append(all, sample{bus.Text{ZH: "发现", EN: "discover"}, discover})
		apply := without(sampleInput(provider, consumer, bus.Conditional, 12))
		apply.Action, apply.Stage, apply.Case = ActionApply, StageConsumer, ""
		all = append(all, sample{bus.Text{ZH: "申请", EN: "apply"}, apply})
		publish := without(sampleInput(provider, Party{}, bus.Conditional, 12))
		publish.Action, publish.Purpose = ActionPublish, ""
		all = append(all, sample{bus.Text{ZH: "发布", EN: "publish"}, publish})
	}
	return all
}

// place makes party one that the layer applies to.
func place(id bus.LayerID, party *Party) {
	switch kind, of := id.Split(); kind {
	case "division":
		party.Division, party.Divisions = bus.DivisionCode(of), []bus.DivisionCode{bus.DivisionCode(of), "440000"}
	case "department":
		party.Department = bus.USCC(of)
	}
}

func without(in Input) Input {
	in.Grant = nil
	return in
}

func sampleInput(provider, consumer Party, sharing bus.SharingType, items int) Input {
	at := time.Date(2026, 3, 4, 2, 30, 0, 0, time.UTC)
	in := Input{
		Version: InputVersion, Action: ActionForward, Stage: StageProvider, Time: Instant{at},
		Provider: provider, Consumer: consumer, Purpose: bus.PurposeCollaboration, Matter: "440100001000", Case: "20260304-0001",
		Resource: Resource{ID: "sample-resource", Provider: provider.Department, Codes: []bus.ResourceCode{"301001/0001"}, Name: "样例资源",
			Sharing: Sharing{Type: sharing, Range: "全省", Purposes: []bus.Purpose{bus.PurposeCollaboration, bus.PurposeVerification}}, Network: "government", Revision: 7},
		Directory: DirectoryState{Index: 42, AgeSeconds: 1},
	}
	grant := Grant{ID: "sample-grant", Resource: in.Resource.ID, Consumer: consumer.Department,
		Purposes: in.Resource.Sharing.Purposes, Matters: []string{in.Matter},
		NotBefore: Instant{at.AddDate(0, -1, 0)}, NotAfter: Instant{at.AddDate(1, 0, 0)}}
	meanings := []bus.Semantic{"", bus.SemanticIDNumber, bus.SemanticName, bus.SemanticPhone, bus.SemanticAddress, bus.SemanticBankCard, bus.SemanticUSCC, bus.SemanticDivision}
	for i := range items {
		item := Item{ID: bus.ItemID(fmt.Sprintf("item_%d", i)), Type: "C", Grade: 1 + i%4, Semantic: meanings[i%len(meanings)]}
		item.Personal = bus.Item{Semantic: item.Semantic}.IsPersonal()
		in.Resource.Items = append(in.Resource.Items, item)
		grant.Items = append(grant.Items, item.ID)
	}
	in.Grant = &grant
	return in
}
