# Figures are nobody's before they are published: until then they wait.
package gxbus.division.d440300

published := {"quarterly-statistics": "2099-04-20T02:00:00.000000000Z"}

hold contains {
	"code": "embargo",
	"zh": sprintf("该资源在 %s（UTC）公布前不提供；数据已暂存，公布后自动送出。", [published[input.resource.id]]),
	"en": sprintf("This resource is not handed out before it is published at %s; it waits and is sent then.", [published[input.resource.id]]),
} if {
	input.action in {"forward", "deliver", "query"}
	input.consumer.department != input.provider.department
	input.time < published[input.resource.id]
}
