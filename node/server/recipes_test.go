package server_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// The items that the recipes tell apart.
var (
	title    = bus.Item{ID: "title", Name: "名称", Type: "C", Length: 200, Grade: 1}
	division = bus.Item{ID: "division", Name: "所属区划", Type: "C", Length: 9, Grade: 1}
	person   = bus.Item{ID: "person", Name: "姓名", Type: "C", Length: 50, Grade: 2, Semantic: bus.SemanticName}
	number   = bus.Item{ID: "number", Name: "证件号码", Type: "C", Length: 18, Grade: 3, Semantic: bus.SemanticIDNumber}
	phone    = bus.Item{ID: "phone", Name: "电话", Type: "C", Length: 11, Grade: 3, Semantic: bus.SemanticPhone}
	address  = bus.Item{ID: "address", Name: "住址", Type: "C", Length: 200, Grade: 2, Semantic: bus.SemanticAddress}
	birth    = bus.Item{ID: "birth_date", Name: "出生日期", Type: "D", Grade: 2, Personal: true}
)

// row is data of all of them.
func row() map[string]any {
	return map[string]any{
		"title": "样例", "division": "440106", "person": "欧阳娜", "number": sample.IDNumber(1), "phone": "19900000001",
		"address": "广东省广州市天河区样例路1号", "birth_date": "2015-06-01",
	}
}

func in(division string) map[string]any {
	r := row()
	r["division"] = division
	return r
}

func needsACase(k *kitchen, t *testing.T) {
	r := k.offer("case-quota", sample.ShenzhenMarket, title, number)
	plain := k.offer("case-plain", sample.ShenzhenMarket, title)
	k.publish(r)
	k.publish(plain)
	k.serve()
	k.refused(r, wish{}, "case-missing")
	sub := k.subscribed(plain, wish{})
	k.send(plain, row())
	k.got(sub, 1)
	k.bind(r, row())
	for range 3 {
		k.want(k.answered(r, wish{}, "办件-1", 1)[0], map[string]any{"title": "样例", "number": "440300…"})
	}
	_, err := k.ask(r, wish{}, "办件-1")
	if problem, ok := errors.AsType[*client.Problem](err); !ok || problem.Status != http.StatusTooManyRequests || problem.Code != bus.CodeRateLimited {
		t.Errorf("the fourth for one case: %v", err)
	}
	k.answered(r, wish{}, "办件-2", 1)
	k.answered(r, wish{by: sample.TianheHousing}, "办件-1", 1) // another department has its own
}

func needsTwoConsents(k *kitchen, _ *testing.T) {
	r := k.offer("credit-records", sample.ShenzhenMarket, title)
	r.Codes = []bus.ResourceCode{"104001/0001"}
	k.publish(r)
	k.serve()
	k.refused(r, wish{grant: "credit-2"}, "second-consent-missing")
	sub := k.subscribed(r, wish{grant: "credit-1"})
	k.send(r, row())
	k.got(sub, 1)
}

func leavesDistrictRows(k *kitchen, _ *testing.T) {
	r := k.offer("district-rows", sample.ShenzhenMarket, title, division)
	k.publish(r)
	k.serve()
	sub := k.subscribed(r, wish{})
	k.send(r, in("440305"), in("440106"), in("440106001"))
	k.want(k.first(sub, 2), map[string]any{"division": "440106"})
}

// The base policy does of itself what district-rows does for all of a resource.
func keepsToTheRangeOfAGrant(k *kitchen) {
	where := division
	where.Semantic = bus.SemanticDivision
	r := k.offer("grant-range", sample.ShenzhenMarket, title, where)
	k.publish(r)
	sub := k.subscribed(r, wish{about: "440106"})
	all := k.subscribed(r, wish{by: sample.TianheHousing})
	k.send(r, in("440305"), in("440106"), in("440106001"))
	k.want(k.first(sub, 2), map[string]any{"division": "440106"})
	k.want(k.first(all, 3), map[string]any{"division": "440305"})
}

func waitsForPublication(k *kitchen, _ *testing.T) {
	r := k.offer("quarterly-statistics", sample.ShenzhenMarket, title)
	k.publish(r)
	const layout = "2006-01-02T15:04:05.000000000Z"
	out := k.clock.Now().Add(10 * time.Minute)
	k.serve("2099-04-20T02:00:00.000000000Z", out.Format(layout), "2099-04-20T01:59:59.999999999Z", out.Add(-1).Format(layout))
	sub := k.subscribed(r, wish{})
	k.send(r, row())
	k.held(sub, "embargo")
	k.clock.advance(10 * time.Minute)
	k.got(sub, 1)
}

func keepsKindsOfEvents(k *kitchen, t *testing.T) {
	r := k.offer("event-types", sample.ShenzhenMarket, title)
	k.publish(r)
	k.serve()
	sub := k.subscribed(r, wish{})
	const registered, inspected, cancelled = "cn.gov.sample.firm.registered.v1", "cn.gov.sample.firm.inspected.v1", "cn.gov.sample.firm.cancelled.v1"
	k.sendKinds(r, []string{registered, inspected, inspected, cancelled}, row(), row(), row(), row())
	var kinds []string
	for _, e := range k.got(sub, 2) {
		kinds = append(kinds, e.Type())
	}
	if !slices.Equal(kinds, []string{registered, cancelled}) {
		t.Errorf("came: %v", kinds)
	}
}

func hides(k *kitchen, t *testing.T) {
	ctx := context.Background()
	r := k.offer("infectious-diseases", sample.ShenzhenMarket, title)
	k.publish(r)
	k.serve()
	for _, c := range []struct {
		by    bus.Department
		finds bool
	}{{sample.TianheServices, false}, {sample.GuangzhouHealth, true}, {sample.ShenzhenMarket, true}} {
		_, err := k.of(c.by).Resources().Read(ctx, r.ID)
		if found := err == nil; found != c.finds || err != nil && !client.IsCode(err, bus.CodeNotFound) {
			t.Errorf("%s reads it: %v", c.by.Name, err)
		}
		all, err := k.of(c.by).Resources().List(ctx)
		check(t, err)
		if listed := slices.ContainsFunc(all, func(l bus.Resource) bool { return l.ID == r.ID }); listed != c.finds {
			t.Errorf("%s finds it in the list: %v", c.by.Name, listed)
		}
	}
	if _, err := k.subscribe(r, wish{}); !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("subscribing to it: %v", err)
	}
}

func waitsOutAnIncident(k *kitchen, _ *testing.T) {
	r := k.offer("incident", sample.ShenzhenMarket, title)
	k.publish(r)
	k.serve()
	sub := k.subscribed(r, wish{})
	other := k.subscribed(r, wish{by: sample.TianheHousing})
	k.send(r, row())
	k.held(sub, "incident")
	k.got(other, 1)
	k.clear()
	k.got(sub, 1)
}

func gradesBySystem(k *kitchen, _ *testing.T) {
	r := k.offer("item-grades", sample.ShenzhenMarket, title, person, phone)
	k.publish(r)
	k.serve()
	listed, other := k.subscribed(r, wish{}), k.subscribed(r, wish{by: sample.TianheHousing})
	k.send(r, row())
	k.want(k.first(listed, 1), map[string]any{"title": "样例", "person": "欧阳…", "phone": "199****0001"})
	k.want(k.first(other, 1), map[string]any{"title": "样例", "person": "欧阳…", "phone": absent})
}

func itemsByPurpose(k *kitchen, _ *testing.T) {
	r := k.offer("item-purposes", sample.ShenzhenMarket, title, number, phone)
	k.publish(r)
	k.serve()
	verifying := k.subscribed(r, wish{purpose: bus.PurposeVerification})
	working := k.subscribed(r, wish{by: sample.TianheHousing, purpose: bus.PurposeCollaboration})
	k.send(r, row())
	k.want(k.first(verifying, 1), map[string]any{"title": "样例", "number": "440300…", "phone": absent})
	k.want(k.first(working, 1), map[string]any{"title": "样例", "number": absent, "phone": "199****0001"})
}

func needsAListedMatter(k *kitchen, _ *testing.T) {
	r := k.offer("enterprise-registration", sample.ShenzhenMarket, title)
	k.publish(r)
	k.serve()
	k.refused(r, wish{}, "matter-not-listed")
	k.refused(r, wish{matter: "440106009000"}, "matter-not-listed")
	sub := k.subscribed(r, wish{matter: "440106001000"})
	k.send(r, row())
	k.got(sub, 1)
}

func protectsChildren(k *kitchen, _ *testing.T) {
	r := k.offer("school-enrolment", sample.ShenzhenMarket, title, person, birth)
	k.publish(r)
	k.serve()
	k.refused(r, wish{purpose: bus.PurposeReference, matter: "440106001000"}, "minors-not-for-this")
	k.refused(r, wish{purpose: bus.PurposeAdministrativeBasis}, "minors-not-for-this")
	k.refused(r, wish{by: sample.TianheHousing, matter: "440106001000"}, "minors-not-for-this")
	sub := k.subscribed(r, wish{purpose: bus.PurposeAdministrativeBasis, matter: "440106001000"})
	k.send(r, row())
	k.want(k.first(sub, 1), map[string]any{"person": "欧阳*", "birth_date": "2015"})
}

func namesSystems(k *kitchen, _ *testing.T) {
	ctx := context.Background()
	r := k.offer("named-systems", sample.ShenzhenMarket, title)
	k.publish(r)
	named := k.bearers[sample.TianheServices.ID]
	credential, err := k.Client("sysadmin").Systems().Put(ctx, bus.System{ID: "tianhe-test", Department: sample.TianheServices.ID, Name: "测试系统"})
	check(k.T, err)
	k.serve()
	k.bearers[sample.TianheServices.ID] = credential.Bearer
	k.refused(r, wish{}, "system-not-named")
	k.bearers[sample.TianheServices.ID] = named
	sub := k.subscribed(r, wish{})
	k.send(r, row())
	k.got(sub, 1)
}

func keepsToItsNetwork(k *kitchen, _ *testing.T) {
	r := k.offer("network-boundary", sample.ShenzhenMarket, title)
	r.Network = "departmental"
	k.publish(r)
	k.serve()
	k.refused(r, wish{}, "network-boundary")
	sub := k.subscribed(r, wish{by: sample.ProvinceCivil})
	k.send(r, row())
	k.got(sub, 1)
}

func slowsNewConsumers(k *kitchen, _ *testing.T) {
	r := k.offer("new-consumer-rate", sample.ShenzhenMarket, title)
	k.publish(r)
	k.serve()
	fresh := k.subscribed(r, wish{begins: k.clock.Now().AddDate(0, 0, -1)})
	known := k.subscribed(r, wish{by: sample.TianheHousing, begins: k.clock.Now().AddDate(0, 0, -40)})
	many := make([]any, 120)
	for i := range many {
		many[i] = row()
	}
	k.send(r, many...)
	k.got(known, 120)
	k.got(fresh, 100)
	k.clock.advance(time.Minute)
	k.got(fresh, 20)
}

func keepsOfficeHours(k *kitchen, _ *testing.T) {
	r := k.offer("office-hours", sample.ShenzhenMarket, title)
	k.publish(r)
	k.serve()
	sub := k.subscribed(r, wish{})
	k.send(r, row())
	k.got(sub, 1)
	k.clock.advance(6 * time.Hour) // after 17:30
	k.clock.advance(3 * time.Hour)
	k.send(r, row())
	k.held(sub, "outside-office-hours")
	k.clock.advance(14 * time.Hour) // Thursday morning
	k.got(sub, 1)
}

func countsWithoutNames(k *kitchen, _ *testing.T) {
	r := k.offer("statistics", sample.ShenzhenMarket, title, person, number, address, birth)
	k.publish(r)
	k.serve()
	sub := k.subscribed(r, wish{purpose: bus.PurposeReference})
	k.send(r, row())
	k.want(k.first(sub, 1), map[string]any{
		"title": "样例", "person": nil, "number": "p:…", "address": "广东省广州市天河区****", "birth_date": "2015",
	})
}

func flowsBack(k *kitchen, _ *testing.T) {
	r := k.offer("provincial-permits", sample.ProvinceCivil, title, division)
	k.publish(r)
	k.serve()
	k.refused(r, wish{by: sample.ProvinceData}, "matter-missing")
	sub := k.subscribed(r, wish{})
	all := k.subscribed(r, wish{by: sample.ProvinceData, matter: "440000001000"})
	k.send(r, in("440305"), in("440106"), in("440106001"))
	k.want(k.first(sub, 2), map[string]any{"division": "440106"})
	k.want(k.first(all, 3), map[string]any{"division": "440305"})
}

func verifiesOnly(k *kitchen, _ *testing.T) {
	r := k.offer("marriage-register", sample.ProvinceCivil, title, person)
	k.publish(r)
	k.serve()
	k.refused(r, wish{purpose: bus.PurposeCollaboration}, "verification-only")
	sub := k.subscribed(r, wish{purpose: bus.PurposeVerification})
	single := row()
	single["person"] = ""
	k.send(r, row(), single)
	k.want(k.first(sub, 2), map[string]any{"title": "样例", "person": true})
	k.bind(r, row(), single)
	_, err := k.ask(r, wish{purpose: bus.PurposeCollaboration}, "办件-1")
	k.denied(err, "verification-only")
	rows := k.answered(r, wish{purpose: bus.PurposeVerification}, "办件-1", 2)
	k.want(rows[0], map[string]any{"title": "样例", "person": true})
	k.want(rows[1], map[string]any{"title": "样例", "person": false})
}

func marks(k *kitchen, t *testing.T) {
	r := k.offer("watermark", sample.ShenzhenMarket, title, phone)
	plain := k.offer("watermark-plain", sample.ShenzhenMarket, title)
	k.publish(r)
	k.publish(plain)
	k.serve()
	sensitive, other := k.subscribed(r, wish{}), k.subscribed(plain, wish{})
	k.send(r, row())
	k.send(plain, row())
	if mark, _ := k.got(sensitive, 1)[0].Extensions()["gxbuswatermark"].(string); mark == "" {
		t.Error("grade 3 carries no mark")
	}
	if mark := k.got(other, 1)[0].Extensions()["gxbuswatermark"]; mark != nil {
		t.Errorf("grade 1 carries mark %v", mark)
	}
}
